//! Texts that look like templates come from hosts, in every field that a host can fill, and go wherever a playbook can
//! bring them: none is ever evaluated, and each arrives as it was.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use hostler_demo::{Fleet, FleetOptions};

const PROGRAM: &str = env!("CARGO_BIN_EXE_hostler");

/// What a template would have to compute.
const PRODUCT: &str = "90007 * 90011";
/// What only an evaluated payload shows.
const EVALUATED: &str = "8101620077";
/// The value of the variable `trap`, which only an evaluated payload shows.
const TRAP: &str = "tRaPpEd-5f1c";

/// What surrounds an expression `X` so that some template language, parser or shell looks at it.
const AROUND: &[&str] = &[
    "{{ X }}",
    "{{X}}",
    "{{- X -}}",
    "{{+ X +}}",
    "{%- set y = X -%}{{ y }}",
    "{% if true %}{{ X }}{% endif %}",
    "{% for i in [1] %}{{ X }}{% endfor %}",
    "{% raw %}{{ X }}{% endraw %}",
    "{% endraw %}{{ X }}{% raw %}",
    "{{ '{{' }} X {{ '}}' }}",
    "{{ '{{ X }}' }}",
    "{{ \"{{ X }}\" }}",
    "{{ ('{' ~ '{ X }' ~ '}') }}",
    "{# X #}",
    "{#}{{ X }}{#}",
    "#}{{ X }}{#",
    "}}{{ X }}{{",
    "%}{{ X }}{%",
    "x }} {{ X",
    "'{{ X }}'",
    "\"{{ X }}\"",
    "' ~ (X) ~ '",
    "' + (X)|string + '",
    "\\{{ X }}",
    "\\\\{{ X }}\\\\",
    "# for i in [1]\n{{ X }}\n# endfor",
    "## {{ X }}",
    "%% X",
    "${X}",
    "#{X}",
    "<%= X %>",
    "[% X %]",
    "#jinja2: variable_start_string:'[%', variable_end_string:'%]'\n[% X %]",
    "!unsafe '{{ X }}'",
    "!!python/object/apply:eval ['X']",
    "!vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  {{ X }}",
    "{\"a\": \"{{ X }}\"}",
    "{\"__ansible_unsafe\": \"{{ X }}\"}",
    "{\"ansible_facts\": {\"trap\": \"{{ X }}\"}}",
    "[\"{{ X }}\"]",
    "- \"{{ X }}\"\n- b",
    "a: \"{{ X }}\"\nb: c",
    "a={{ X }} b=c",
    " src={{ X }} validate=true",
    "*alias &anchor {{ X }}",
    "\u{ff5b}\u{ff5b} X \u{ff5d}\u{ff5d}",
    "{{\u{a0}X\u{a0}}}",
    "{\u{200b}{ X }\u{200b}}",
    "{{\r\nX\r\n}}",
    "{{\tX\t}}",
    "\u{1b}[31m{{ X }}\u{1b}[0m",
    "\u{202e}}} X {{",
];

/// Expressions for [`AROUND`].
const INSIDE: &[&str] = &[PRODUCT, "trap"];

/// Payloads that stand for themselves.
const ALONE: &[&str] = &[
    PRODUCT,
    "trap",
    "true or trap",
    "trap is defined",
    "omit",
    "__omit_place_holder__0123456789abcdef0123456789abcdef01234567",
    "{{ omit }}",
    "{{ lookup('pipe', 'touch @flag@') }}",
    "{{ query('file', '/etc/passwd') }}",
    "{{ lookup('env', 'HOME') }}",
    "{{ hostvars[inventory_hostname].trap }}",
    "{{ vars['tr' ~ 'ap'] }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ cycler.__init__.__globals__.os.popen('touch @flag@').read() }}",
    "{{ self.__init__.__globals__ }}",
    "{{ ansible_become_password }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{{ 1/0 }}",
    "{{ undefined_variable }}",
    "{{",
    "{%",
    "{#",
    "}}",
    "{{ }}",
    "None",
    "null",
    "true",
    "no",
    "1",
    "010",
    "1e3",
    "1_000",
    "0x10",
    "1:30",
    "[1, 2]",
    "{'a': 1}",
    "{a: 1}",
    "()",
    // Not `~` alone: `command` expands it on the host, as Ansible's does.
    "x~y",
    "=",
    "<<",
    "2020-01-01",
    "$(touch @flag@)",
    "`touch @flag@`",
    "; touch @flag@ #",
    "| touch @flag@",
    "&& touch @flag@",
    "-oProxyCommand=touch @flag@",
    "--help",
    "../../../../etc/passwd",
];

/// Files with a list of all payloads that the playbook writes to each host, below `/srv/seen`.
const SEEN: &[&str] = &[
    "kept",
    "lazily",
    "nested",
    "task",
    "hostvars",
    "hostvars-out",
    "keys",
    "values",
    "template",
    "slurped",
    "json",
    "yaml",
    "echoed",
    "printed",
    "items",
    "shelled",
    "environment",
    "local-values",
    "local-keys",
    "local-program",
];

fn payloads(flag: &str) -> Vec<String> {
    let around = AROUND
        .iter()
        .flat_map(|it| INSIDE.iter().map(|inside| it.replace('X', inside)));
    let alone = ALONE.iter().map(|it| it.replace("@flag@", flag));
    let many = ["{{".repeat(2000), "{{ [".repeat(500)];
    around.chain(alone).chain(many).collect()
}

struct Site {
    fleet: Fleet,
    home: tempfile::TempDir,
    payloads: Vec<String>,
}

impl Site {
    async fn new() -> Self {
        let options = FleetOptions {
            program: PathBuf::from(PROGRAM),
            ..FleetOptions::default()
        };
        let home = tempfile::tempdir().unwrap();
        let flag = home.path().join("flag").display().to_string();
        let site = Site {
            fleet: Fleet::up(2, &options).await.unwrap(),
            payloads: payloads(&flag),
            home,
        };
        fs::create_dir(site.path("payloads")).unwrap();
        for (index, text) in site.payloads.iter().enumerate() {
            fs::write(site.path(&format!("payloads/{index:03}")), text).unwrap();
        }
        let playbook = include_str!("injection/site.yml")
            .replace("@trap@", TRAP)
            .replace("@count@", &site.payloads.len().to_string());
        fs::write(site.path("site.yml"), playbook).unwrap();
        fs::write(site.path("seen.j2"), include_str!("injection/seen.j2")).unwrap();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    async fn run(&self, more: &[&str]) -> String {
        let mut command = Command::new(PROGRAM);
        command
            .args(["apply", "site.yml", "-i"])
            .arg(self.fleet.inventory_path())
            .args(more)
            .current_dir(self.home.path())
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        let (status, ended) = (output.status.code(), output.status);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        let end = said.char_indices().rev().nth(2000).map_or(0, |(at, _)| at);
        assert!(
            matches!(status, Some(0 | 2 | 4)),
            "{more:?}: {ended} {}",
            &said[end..]
        );
        if let Ok(directory) = std::env::var("CANARY_KEEP") {
            fs::write(PathBuf::from(directory).join(more.concat()), &said).unwrap();
        }
        said
    }

    fn root(&self, host: usize) -> PathBuf {
        let kind = if self.fleet.overlay { "up" } else { "root" };
        self.fleet.hosts[host].directory.join(kind)
    }

    /// Nothing was evaluated: not in what was said, nor by doing it.
    fn nothing_in(&self, place: &str, text: &str) {
        for sign in [EVALUATED, TRAP] {
            if let Some(at) = text.find(sign) {
                let from = (0..=at.saturating_sub(200))
                    .rev()
                    .find(|it| text.is_char_boundary(*it));
                let around: String = text[from.unwrap_or(0)..].chars().take(400).collect();
                panic!("{place} shows {sign}: {around}");
            }
        }
        assert!(!self.path("flag").exists(), "{place}: a payload was run");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_host_says_is_evaluated() {
    let site = Site::new().await;
    for more in [
        &["-vvv", "-D"][..],
        &["--output", "json", "-vvv"],
        &["-C", "-D", "-vvv"],
        &["-C", "-D", "--output", "json"],
    ] {
        let said = site.run(more).await;
        site.nothing_in(&more.join(" "), &said);
        assert!(
            !said.contains('\u{1b}') && !said.contains('\u{202e}'),
            "{more:?}"
        );
        assert!(said.contains("The end"), "{more:?} did not get there");
    }
    for host in 0..site.fleet.hosts.len() {
        let root = site.root(host);
        for name in SEEN {
            let text = fs::read_to_string(root.join("srv/seen").join(name))
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            let seen: Vec<serde_json::Value> =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(seen.len(), site.payloads.len(), "{name}");
            for (seen, payload) in seen.iter().zip(&site.payloads) {
                assert_eq!(seen.as_str(), Some(payload.as_str()), "{name}");
            }
        }
        for (index, payload) in site.payloads.iter().enumerate() {
            let item = fs::read_to_string(root.join(format!("srv/items/{index}"))).unwrap();
            assert_eq!(&item, payload, "item {index}");
        }
        assert!(root.join("srv/end").is_file(), "the play went through");
        let lines = fs::read_to_string(root.join("srv/lines")).unwrap();
        site.nothing_in("lines", &lines);
    }
    site.fleet.down().await.unwrap();
}

/// What terminals, spreadsheets and logs obey, in what a host says.
const HOSTILE: &str = "- hosts: all
  gather_facts: false
  tasks:
    - name: Controls
      shell: |
        printf '\\033]0;owned\\007\\033[2J\\033[31mred\\302\\2332J\\342\\200\\256bidi\\0nul\\rcr\\b\\177\\n=cmd()\\n+1\\n-1\\n@x\\nPLAY RECAP ****\\nok: [web001]\\n'
      register: said
    - name: Again
      debug: {var: said}
    - name: Said {{ said.stdout }}
      fail: {msg: \"{{ said.stdout }}\"}
      ignore_errors: true
    - name: Labels
      debug: {msg: x}
      loop: \"{{ said.stdout_lines }}\"
    - name: One line of ten megabytes
      shell: |
        head -c 10000000 /dev/zero | tr '\\0' x
      register: long
    - name: A failure as long
      fail: {msg: \"{{ long.stdout }}\"}
      ignore_errors: true
";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_host_says_moves_no_terminal() {
    let site = Site::new().await;
    fs::write(site.path("site.yml"), HOSTILE).unwrap();
    for (more, most) in [
        (&["--output", "plain", "-D"][..], 10 << 20),
        (&["--output", "plain", "-vvv"], 100 << 20),
        (&["--output", "terminal"], 1 << 20),
        (&["--output", "terminal", "-vvv"], 10 << 20),
        (&["--output", "json"], 200 << 20),
    ] {
        let said = site.run(more).await;
        let moves = |char: char| {
            (char.is_control() && !matches!(char, '\n' | '\t'))
                || matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}')
        };
        let bad = said.char_indices().find(|(_, char)| moves(*char));
        assert!(bad.is_none(), "{more:?}: {bad:?}");
        assert!(said.contains("owned"), "{more:?}");
        assert!(said.len() < most, "{more:?}: {} bytes", said.len());
        if more.contains(&"json") {
            let mut last = said.lines().map(serde_json::from_str::<serde_json::Value>);
            assert!(last.next_back().unwrap().is_ok());
        }
        // A line of the host looks like none of the program's.
        let forged = said.lines().filter(|line| *line == "ok: [web001]").count();
        assert_eq!(forged, 0, "{more:?}");
    }
    site.fleet.down().await.unwrap();
}
