//! Builds the agent with a cargo of its own and hands its bytes to the library.
//!
//! The agent is another kind of program than the controller: static, small, with another profile. So it cannot be an
//! ordinary dependency. The nested cargo has its own target directory, since the outer one holds a lock on its own
//! while this script runs, and it starts from a clean environment: what the outer cargo sets for its build scripts
//! would change how the agent is compiled. It only compiles again when a source of the agent changed.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sha2::{Digest, Sha256};

/// Crates that the agent is made of.
const CRATES: &[&str] = &[
    "agent",
    "change",
    "module-api",
    "modules",
    "package-managers",
    "probes",
    "protocol",
    "python-regex",
    "updates",
    "value",
];

/// Variables of cargo that a nested cargo needs too: where things are, how to download, how much to do at a time.
const KEPT: &[&str] = &[
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTR",
    "CARGO_SOURCE_",
    "CARGO_BUILD_JOBS",
    "CARGO_MAKEFLAGS",
];

/// Variables of compilers and of the outer build.
const DROPPED: &[&str] = &[
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTDOC",
    "RUSTFLAGS",
    "RUSTDOCFLAGS",
    "TARGET",
    "HOST",
    "PROFILE",
    "OPT_LEVEL",
    "DEBUG",
    "OUT_DIR",
    "NUM_JOBS",
    "RUSTC_LINKER",
    "CLIPPY_ARGS",
    "CLIPPY_CONF_DIR",
];

/// What makes a release smaller, by a quarter; the reasons are in docs/design/0004-agent-size.md. Paths are relative to
/// the workspace, where cargo runs the linker: an absolute one would change the binary's hash with the directory.
const SMALLER: &[&str] = &[
    "-Cforce-unwind-tables=no",
    "-Cllvm-args=-enable-machine-outliner=always",
    "-Clink-arg=-Wl,--no-eh-frame-hdr",
    "-Clink-arg=-Wl,-T,crates/agent-image/agent.ld",
    "-Clink-arg=-Wl,--icf=all",
    "-Clink-arg=-Wl,-z,pack-relative-relocs",
    "-Clink-arg=-Wl,-z,muldefs",
    "--cfg=sha2_backend_soft=\"compact\"",
    "--cfg=sha2_512_backend=\"soft\"",
];

/// Features of the agent that only link with these flags.
const SMALLER_FEATURES: &str = "no-backtraces";

/// The linker script of the flags above.
const SCRIPT: &str = "crates/agent-image/agent.ld";

/// What an agent greets with.
const MAGIC: &[u8] = b"\xffhostler-agent";

fn main() {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().expect("the workspace is there");
    for name in ["Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(name).display());
    }
    println!("cargo::rerun-if-changed=agent.ld");
    for name in CRATES {
        let dir = root.join("crates").join(name);
        println!("cargo::rerun-if-changed={}", dir.join("src").display());
        println!(
            "cargo::rerun-if-changed={}",
            dir.join("Cargo.toml").display()
        );
    }
    let target = variable("TARGET");
    assert!(
        target.ends_with("-unknown-linux-gnu"),
        "the agent is built for the controller's own architecture, which must be a Linux with glibc, not {target}"
    );
    let agent = build(&root, &target);
    embed(&agent, &target);
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}

/// Builds the agent and gives its path.
fn build(root: &Path, target: &str) -> PathBuf {
    let quick = variable("PROFILE") == "debug";
    let dir = outer_target_dir(target).join(if quick {
        "agent-build-debug"
    } else {
        "agent-build"
    });
    let binary = dir.join(target).join("agent/hostler-agent");
    if !quick {
        let output = cargo(root, target, &dir, quick, SMALLER);
        if output.status.success() && greets(&binary, target) {
            return binary;
        }
        println!(
            "cargo::warning=the agent will be larger than usual: this toolchain cannot link the small one (rustc's \
             own lld and glibc 2.36 can)"
        );
    }
    let output = cargo(root, target, &dir, quick, &[]);
    assert!(
        output.status.success(),
        "the agent cannot be built (a static glibc, such as Debian's libc6-dev, is needed):\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    binary
}

/// Does it start? A glibc too old for packed relocations would not, though it was linked without complaint.
fn greets(binary: &Path, target: &str) -> bool {
    if target != variable("HOST") {
        return true;
    }
    let output = Command::new(binary).stdin(Stdio::null()).output();
    output.is_ok_and(|output| output.status.success() && output.stdout.starts_with(MAGIC))
}

/// The outer cargo's target directory: `OUT_DIR` is `TARGET_DIR[/TRIPLE]/PROFILE/build/PACKAGE/out`.
fn outer_target_dir(target: &str) -> PathBuf {
    let out = PathBuf::from(variable("OUT_DIR"));
    let above = out
        .ancestors()
        .nth(4)
        .expect("OUT_DIR lies in a target directory");
    if above.file_name().is_some_and(|name| name == target) {
        above.parent().unwrap_or(above).to_owned()
    } else {
        above.to_owned()
    }
}

/// Runs cargo with what is downloaded already; with the network only if that is not enough.
fn cargo(root: &Path, target: &str, dir: &Path, quick: bool, flags: &[&str]) -> Output {
    let output = cargo_once(root, target, dir, quick, flags, true);
    if !output.status.success() && needs_network(&output) {
        return cargo_once(root, target, dir, quick, flags, false);
    }
    output
}

fn cargo_once(
    root: &Path,
    target: &str,
    dir: &Path,
    quick: bool,
    more_flags: &[&str],
    offline: bool,
) -> Output {
    let mut command = Command::new(variable("CARGO"));
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let of_cargo = text.starts_with("CARGO") && !KEPT.iter().any(|kept| text.starts_with(kept));
        if of_cargo || DROPPED.contains(&text.as_ref()) {
            command.env_remove(&name);
        }
    }
    // No machine's paths in the binary: its hash depends on sources and compiler alone.
    let home = env::var("CARGO_HOME").or_else(|_| env::var("HOME").map(|home| home + "/.cargo"));
    let mut flags = vec![
        "-Ctarget-feature=+crt-static".to_owned(),
        format!("--remap-path-prefix={}=", root.display()),
        format!("--remap-path-prefix={}=cargo", home.unwrap_or_default()),
    ];
    flags.extend(more_flags.iter().map(|flag| (*flag).to_owned()));
    let small = more_flags.iter().any(|flag| flag.ends_with(SCRIPT));
    if small {
        // Cargo does not look into files that flags name: a changed script has to change the flags.
        let script = fs::read(root.join(SCRIPT)).expect("the linker script is there");
        let hash = Sha256::digest(&script);
        flags.push(format!(
            "--cfg=script_{:02x}{:02x}{:02x}{:02x}",
            hash[0], hash[1], hash[2], hash[3]
        ));
    }
    command
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .current_dir(root)
        .args([
            "build",
            "--package",
            "hostler-agent",
            "--bin",
            "hostler-agent",
        ])
        .args([
            "--profile",
            "agent",
            "--target",
            target,
            "--locked",
            "--quiet",
        ])
        .arg("--target-dir")
        .arg(dir);
    if small {
        command.args(["--features", SMALLER_FEATURES]);
    }
    if offline {
        command.arg("--offline");
    }
    if quick {
        // For the compile-and-try loop; a release gets the profile as it is written.
        command
            .env("CARGO_PROFILE_AGENT_LTO", "off")
            .env("CARGO_PROFILE_AGENT_OPT_LEVEL", "1")
            .env("CARGO_PROFILE_AGENT_CODEGEN_UNITS", "16")
            // Tests name the directory for kept results, which no release lets anybody do.
            .env("CARGO_PROFILE_AGENT_DEBUG_ASSERTIONS", "true")
            .env("CARGO_PROFILE_AGENT_INCREMENTAL", "true");
    }
    command.output().expect("cargo can be run")
}

fn needs_network(output: &Output) -> bool {
    let said = String::from_utf8_lossy(&output.stderr);
    said.contains("--offline")
        || said.contains("offline mode")
        || said.contains("failed to download")
}

/// Writes what the library includes, but only what is new: otherwise all that depends on it would compile again.
fn embed(agent: &Path, target: &str) {
    let bytes = fs::read(agent).expect("cargo said that it built the agent");
    let hash: [u8; 32] = Sha256::digest(&bytes).into();
    let hex = hash.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let arch = target.split('-').next().unwrap_or_default();
    let constants = format!(
        "/// SHA-256 of [`AGENT`].\npub const SHA256: [u8; 32] = {hash:?};\n\n\
         /// The same as hex digits.\npub const SHA256_HEX: &str = \"{hex}\";\n\n\
         /// The machine that it runs on, as `uname -m` says it.\npub const ARCH: &str = \"{arch}\";\n"
    );
    let out = PathBuf::from(variable("OUT_DIR"));
    for (name, new) in [
        ("agent", bytes.as_slice()),
        ("constants.rs", constants.as_bytes()),
    ] {
        let path = out.join(name);
        if fs::read(&path).ok().as_deref() != Some(new) {
            fs::write(&path, new).expect("OUT_DIR can be written");
        }
    }
}
