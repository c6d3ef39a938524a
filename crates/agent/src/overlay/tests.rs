//! Overlays on a host in memory.

use std::path::Path;

use hostler_change::{
    Attrs, Change, Content, Delta, Edit, Effect, FileKind, Link, MakeDir, Outcome, Owner, Planned,
    Program, Remove, Run, ShadowEffect, Times, UserEffect, WriteFile,
};
use hostler_module_api::FIRST_STAND_IN;
use hostler_module_api::fake::FakeHost;
use hostler_module_api::{Applier, FileStat, Follow, Inspect, InspectError, ModuleError};

use hostler_protocol::{Maker, PendingEdit, PreviewTask};
use hostler_value::{Cause, Value};

use super::{Ground, Overlay, OverlayHost, Preview};

/// With the program that the tests' effects are of.
fn bare() -> FakeHost {
    FakeHost::bare().file("/usr/bin/true", "")
}

fn foreseen(real: &FakeHost, overlay: &Overlay, edits: impl IntoIterator<Item = Edit>) {
    for edit in edits {
        let deltas = vec![Delta::action("test", "change")];
        let task = PreviewTask {
            keep: true,
            ..PreviewTask::default()
        };
        let mut preview = Preview::new(real, overlay, &task);
        let kept = preview.preview(&[Planned { edit, deltas }]);
        assert!(kept.unwrap(), "it shows what it keeps");
    }
}

fn dir(path: &str, attrs: Attrs) -> Edit {
    let path = path.into();
    Edit::MakeDir(MakeDir { path, attrs })
}

fn file(path: &str, content: Content) -> Edit {
    Edit::WriteFile(WriteFile {
        path: path.into(),
        content,
        attrs: Attrs::default(),
        backup: false,
        validate: None,
        unsafe_writes: false,
    })
}

fn text(path: &str, text: &str) -> Edit {
    file(path, Content::Bytes(text.into()))
}

fn link(path: &str, target: &str, hard: bool) -> Edit {
    let (path, target) = (path.into(), target.into());
    Edit::Link(Link { path, target, hard })
}

fn remove(path: &str) -> Edit {
    Edit::Remove(Remove {
        path: path.into(),
        recursive: true,
    })
}

fn attrs(path: &str, attrs: Attrs) -> Edit {
    Edit::SetAttrs {
        path: path.into(),
        attrs,
        follow: true,
    }
}

fn owned_by(name: &str, mode: Option<u32>) -> Attrs {
    Attrs {
        owner: Some(Owner::Name(name.into())),
        group: Some(Owner::Name(name.into())),
        mode,
    }
}

fn owned_by_group(name: &str) -> Attrs {
    Attrs {
        group: Some(Owner::Name(name.into())),
        ..Attrs::default()
    }
}

fn effects(effects: Vec<Effect>) -> Edit {
    Edit::Run(Run::new(Program::new(["true"])).bringing(effects))
}

fn stat(host: &OverlayHost<'_>, path: &str) -> Option<FileStat> {
    host.stat(Path::new(path), Follow::Yes).unwrap()
}

fn read(host: &OverlayHost<'_>, path: &str) -> Option<String> {
    let bytes = host.read(Path::new(path), 1 << 20).unwrap();
    bytes.map(|it| String::from_utf8(it).unwrap())
}

fn names(host: &OverlayHost<'_>, path: &str) -> Option<Vec<String>> {
    let names = host.list_dir(Path::new(path)).unwrap()?;
    Some(names.iter().map(|it| it.display().to_string()).collect())
}

#[test]
fn an_empty_overlay_is_the_host() {
    let real = bare().file("/etc/motd", "hi\n");
    let overlay = Overlay::default();
    let host = OverlayHost::new(&real, &overlay);
    assert_eq!(read(&host, "/etc/motd").as_deref(), Some("hi\n"));
    assert_eq!(stat(&host, "/etc/nothing"), None);
    assert_eq!(host.accounts().unwrap(), real.accounts().unwrap());
}

#[test]
fn a_file_in_a_directory_that_is_not_there_yet() {
    let real = bare().dir("/srv", 0o755);
    let before = real.snapshot().clone();
    let overlay = Overlay::default();
    let mode = Some(0o750);
    let wanted = Attrs {
        mode,
        ..Attrs::default()
    };
    foreseen(
        &real,
        &overlay,
        [dir("/srv/x", wanted), text("/srv/x/y", "one\n")],
    );
    let host = OverlayHost::new(&real, &overlay);
    let made = stat(&host, "/srv/x").unwrap();
    assert_eq!((made.kind, made.perm()), (FileKind::Dir, 0o750));
    let file = stat(&host, "/srv/x/y").unwrap();
    assert_eq!(
        (file.kind, file.perm(), file.size),
        (FileKind::File, 0o644, 4)
    );
    assert_ne!(made.ino, file.ino);
    assert_eq!(read(&host, "/srv/x/y").as_deref(), Some("one\n"));
    assert_eq!(read(&host, "/srv/x/../x/./y").as_deref(), Some("one\n"));
    assert_eq!(stat(&host, "/srv/x/y/z"), None, "a file holds nothing");
    assert_eq!(names(&host, "/srv/x"), Some(vec!["y".into()]));
    assert_eq!(names(&host, "/srv"), Some(vec!["x".into()]));
    let sum = host.checksum(Path::new("/srv/x/y"), "sha1").unwrap();
    assert_eq!(sum, hostler_module_api::digest(b"one\n", "sha1"));
    assert!(host.checksum(Path::new("/srv/x/y"), "crc").is_err());
    assert!(
        host.read(Path::new("/srv/x/y"), 3).is_err(),
        "over the limit"
    );
    assert!(host.read(Path::new("/srv/x"), 3).is_err(), "a directory");
    assert!(host.access(Path::new("/srv/x/y"), 6));
    assert!(!host.access(Path::new("/srv/x/y"), 1));
    // A later edit takes the attributes of the file that it replaces.
    let closed = Attrs {
        mode: Some(0o600),
        ..Attrs::default()
    };
    foreseen(
        &real,
        &overlay,
        [attrs("/srv/x/y", closed), text("/srv/x/y", "two\n")],
    );
    assert_eq!(stat(&host, "/srv/x/y").unwrap().perm(), 0o600);
    assert_eq!(read(&host, "/srv/x/y").as_deref(), Some("two\n"));
    assert_eq!(&before, real.snapshot());
}

fn refused(real: &FakeHost, overlay: &Overlay, edits: Vec<Edit>) -> ModuleError {
    let task = PreviewTask {
        keep: true,
        ..PreviewTask::default()
    };
    let planned = edits.into_iter().map(|edit| Planned {
        edit,
        deltas: Vec::new(),
    });
    let planned: Vec<Planned> = planned.collect();
    Preview::new(real, overlay, &task)
        .preview(&planned)
        .unwrap_err()
}

#[test]
fn nothing_is_kept_of_a_plan_that_would_fail() {
    let real = bare()
        .file("/etc/motd", "hi\n")
        .dir("/srv", 0o755)
        .file("/srv/x", "");
    let overlay = Overlay::default();
    let no_such = |what: &str| format!("{what}: No such file or directory");
    for (edit, failure) in [
        (text("/nowhere/x", "x"), no_such("cannot write /nowhere/x")),
        (
            text("/etc/motd/x", "x"),
            no_such("cannot write /etc/motd/x"),
        ),
        (
            text("/etc", "x"),
            "cannot write /etc: Is a directory".into(),
        ),
        (
            dir("/etc/motd", Attrs::default()),
            "cannot make directory /etc/motd: File exists".into(),
        ),
        (
            file("/etc/y", Content::HostFile("/etc/no".into())),
            no_such("cannot read /etc/no"),
        ),
        (
            attrs("/etc/motd", owned_by("bob", None)),
            "chown failed: failed to look up user bob".into(),
        ),
        (
            Edit::Remove(Remove {
                path: "/srv".into(),
                recursive: false,
            }),
            "cannot remove /srv: Directory not empty".into(),
        ),
        (
            Edit::Run(Run::new(Program::new(["usermod", "x"]))),
            no_such("Error executing command").replace("directory", "directory: usermod"),
        ),
    ] {
        let error = refused(&real, &overlay, vec![text("/etc/first", "x"), edit]);
        assert_eq!(
            (error.msg.as_str(), error.unknown.len()),
            (failure.as_str(), 0)
        );
        assert!(
            overlay.snapshot().files.is_empty(),
            "all or nothing: {failure}"
        );
    }
}

fn task_of(number: u32) -> PreviewTask {
    PreviewTask {
        task: number,
        keep: true,
        ..PreviewTask::default()
    }
}

/// nginx would be installed by task 4.
fn with_new_package(real: &FakeHost) -> Overlay {
    let overlay = Overlay::default();
    let package = Effect::Package {
        name: "nginx".into(),
        version: Some("1.22".into()),
    };
    let edit = effects(vec![package]);
    let task = task_of(4);
    let planned = Planned {
        edit,
        deltas: Vec::new(),
    };
    Preview::new(real, &overlay, &task)
        .preview(&[planned])
        .unwrap();
    overlay
}

#[test]
fn what_a_new_package_may_bring_is_not_known() {
    let real = bare().dir("/etc/default", 0o755).file("/etc/motd", "");
    let overlay = with_new_package(&real);
    let host = OverlayHost::new(&real, &overlay);
    let look = |path: &str| match host.stat(Path::new(path), Follow::Yes) {
        Err(InspectError::Unknown { by, .. }) => {
            Err(by.iter().map(|it| it.task).collect::<Vec<_>>())
        }
        other => Ok(other.unwrap().is_some()),
    };
    assert_eq!(look("/etc/nginx/nginx.conf"), Err(vec![4]));
    assert_eq!(look("/etc/default/nginx"), Err(vec![4]));
    assert_eq!(
        (look("/etc/default/other"), look("/etc/motd")),
        (Ok(false), Ok(true))
    );
    assert!(matches!(
        host.account("www"),
        Err(InspectError::Unknown { .. })
    ));
    assert!(host.account("root").unwrap().is_some() && host.account("77").unwrap().is_none());
    let program = host.look(&Program::new(["nginx", "-t"]));
    assert!(
        matches!(program, Err(InspectError::Unknown { .. })),
        "{program:?}"
    );
    // What an edit has decided is known.
    foreseen(
        &real,
        &overlay,
        [dir("/etc/app", Attrs::default()), remove("/etc/default")],
    );
    assert_eq!(
        (look("/etc/app/nginx"), look("/etc/default/nginx")),
        (Ok(false), Ok(false))
    );
    // An edit in such a place is not refused as an error.
    assert_eq!(
        refused(&real, &overlay, vec![text("/etc/nginx/x", "")])
            .unknown
            .len(),
        1
    );
}

#[test]
fn a_whole_content_is_certain_even_where_a_package_comes() {
    let content = b"user www-data;\n".to_vec();
    let real = bare().payload_is(content.clone());
    let overlay = with_new_package(&real);
    let task = task_of(5);
    let mut preview = Preview::new(&real, &overlay, &task);
    assert!(preview.suppose());
    let there = |preview: &Preview<'_>, path: &str| {
        preview
            .host()
            .stat(Path::new(path), Follow::Yes)
            .unwrap()
            .map(|it| it.kind)
    };
    assert_eq!(there(&preview, "/etc/nginx/nginx.conf"), None);
    assert_eq!(there(&preview, "/etc/nginx"), Some(FileKind::Dir));
    let planned = |edit| Planned {
        edit,
        deltas: Vec::new(),
    };
    let part = planned(text("/etc/nginx/nginx.conf", "a line\n"));
    assert!(
        preview.preview(&[part]).is_err(),
        "what is there would have a part in it"
    );
    let whole = planned(file("/etc/nginx/nginx.conf", Content::Bytes(content)));
    assert!(preview.preview(&[whole]).unwrap());
    let host = OverlayHost::new(&real, &overlay);
    assert_eq!(
        read(&host, "/etc/nginx/nginx.conf").as_deref(),
        Some("user www-data;\n")
    );
}

#[test]
fn accounts_are_in_their_files() {
    let real = bare()
        .file("/etc/shadow", "root:*:1:0:99999:7:::\n")
        .file("/etc/login.defs", "PASS_MAX_DAYS 90\n");
    let overlay = Overlay::default();
    let user = UserEffect {
        name: "shop".into(),
        uid: Some(4200),
        group: Some(Owner::Id(100)),
        ..UserEffect::default()
    };
    let shadow = |password: Option<&str>, expires| {
        let (user, password) = ("shop".into(), password.map(str::to_owned));
        Effect::Shadow(ShadowEffect {
            user,
            password,
            expires,
            ..ShadowEffect::default()
        })
    };
    let first = vec![
        Effect::User(user),
        shadow(Some("$6$x"), None),
        shadow(None, Some(9000)),
    ];
    foreseen(&real, &overlay, [effects(first)]);
    let host = OverlayHost::new(&real, &overlay);
    let passwd = read(&host, "/etc/passwd").unwrap();
    assert!(
        passwd.ends_with("shop:x:4200:100::/home/shop:/bin/sh\n"),
        "{passwd}"
    );
    let line = hostler_probes::shadow(&host, "shop").unwrap();
    assert_eq!(
        (line.password.as_str(), line.max, line.expires),
        ("$6$x", Some(90), Some(9000))
    );
    assert!(hostler_probes::shadow(&host, "root").is_some());
    foreseen(
        &real,
        &overlay,
        [effects(vec![Effect::NoUser("shop".into())])],
    );
    assert!(hostler_probes::shadow(&host, "shop").is_none());
    assert_eq!(
        read(&host, "/etc/passwd"),
        read(&OverlayHost::new(&real, &Overlay::default()), "/etc/passwd")
    );
}

#[test]
fn what_was_made_up_is_told_as_unknown() {
    let real = bare();
    let overlay = Overlay::default();
    let group = Effect::Group {
        name: "shop".into(),
        gid: None,
    };
    let task = task_of(3);
    let plan = [
        effects(vec![group]),
        dir("/home/shop", owned_by_group("shop")),
    ];
    let plan: Vec<Planned> = plan
        .into_iter()
        .map(|edit| Planned {
            edit,
            deltas: Vec::new(),
        })
        .collect();
    let mut preview = Preview::new(&real, &overlay, &task);
    preview.preview(&plan).unwrap();
    let home = preview
        .host()
        .stat(Path::new("/home/shop"), Follow::Yes)
        .unwrap()
        .unwrap();
    let mut outcome = Outcome::default();
    outcome.fields.insert("gid", home.gid);
    outcome.fields.insert("inode", home.ino);
    outcome
        .fields
        .insert("line", format!("shop:x:{}:", home.gid));
    #[expect(clippy::cast_precision_loss, reason = "as modules show times")]
    outcome.fields.insert("mtime", home.mtime_ns as f64 / 1e9);
    outcome.fields.insert("mode", "0755");
    outcome.deltas.push(Delta::field("x", "group", 0, home.gid));
    preview.finish(&mut outcome);
    let unknown = |it: &Value| it.unknown_part().map(|it| it.until[0].task);
    for name in ["gid", "inode", "mtime", "line"] {
        assert_eq!(
            unknown(outcome.fields.get(name).unwrap()),
            Some(3),
            "{name}"
        );
    }
    let line = outcome.fields.get("line").unwrap().to_text();
    assert!(
        line.starts_with("shop:x:\u{ab}") && !line.contains("4026"),
        "{line}"
    );
    assert_eq!(outcome.fields.get("mode"), Some(&Value::str("0755")));
    assert!(
        matches!(&outcome.deltas[0].change, Change::Field { after, .. } if unknown(after) == Some(3))
    );
}

#[test]
fn what_other_agents_keep_is_theirs() {
    let real = bare();
    let overlay = Overlay::default();
    let maker = Maker {
        uid: 1000,
        gid: 1001,
        umask: 0o077,
    };
    let by = Cause {
        task: 2,
        ..Cause::default()
    };
    let edit = text("/home/x", "x");
    let task = PreviewTask {
        earlier: vec![PendingEdit { by, maker, edit }],
        ..task_of(3)
    };
    overlay.catch_up(&real, &task);
    let made = stat(&OverlayHost::new(&real, &overlay), "/home/x").unwrap();
    assert_eq!((made.uid, made.gid, made.perm()), (1000, 1001, 0o600));
}

#[test]
fn a_branch_keeps_nothing() {
    let real = bare();
    let overlay = Overlay::default();
    let task = PreviewTask::default();
    let ground = Ground::new(&overlay, &task);
    let planned = Planned {
        edit: text("/etc/x", "x"),
        deltas: Vec::new(),
    };
    let mut preview = Preview::new(&real, ground.overlay(), &task);
    preview.preview(&[planned]).unwrap();
    assert!(
        preview
            .host()
            .stat(Path::new("/etc/x"), Follow::Yes)
            .unwrap()
            .is_some()
    );
    assert!(overlay.snapshot().files.is_empty());
}

#[test]
fn links_are_followed_in_both_worlds() {
    let real = bare()
        .dir("/srv", 0o755)
        .dir("/srv/real", 0o755)
        .file("/srv/real/a", "a");
    let overlay = Overlay::default();
    foreseen(
        &real,
        &overlay,
        [
            link("/srv/current", "real", false),
            text("/srv/current/b", "b"),
            link("/srv/loop", "loop", false),
            link("/srv/hard", "/srv/real/a", true),
            link("/srv/hard", "/srv/hard", true),
            link("/srv/dangling", "/srv/later", false),
        ],
    );
    let host = OverlayHost::new(&real, &overlay);
    let at = Path::new("/srv/current");
    let kind = host.stat(at, Follow::No).unwrap().unwrap().kind;
    assert_eq!(kind, FileKind::Link);
    assert_eq!(host.read_link(at).unwrap(), Some("real".into()));
    assert_eq!(read(&host, "/srv/current/a").as_deref(), Some("a"));
    assert_eq!(read(&host, "/srv/real/b").as_deref(), Some("b"));
    assert_eq!(
        names(&host, "/srv/current"),
        Some(vec!["a".into(), "b".into()])
    );
    assert!(host.stat(Path::new("/srv/loop"), Follow::Yes).is_err());
    assert_eq!(stat(&host, "/srv/dangling"), None);
    let (hard, first) = (stat(&host, "/srv/hard"), stat(&host, "/srv/real/a"));
    assert_eq!(hard, first);
    assert_eq!(hard.unwrap().nlink, 2);
    // A change by one name is seen by the other, until one is replaced.
    let mode = Attrs {
        mode: Some(0o600),
        ..Attrs::default()
    };
    foreseen(
        &real,
        &overlay,
        [attrs("/srv/hard", mode), text("/srv/hard", "new")],
    );
    assert_eq!(stat(&host, "/srv/real/a").unwrap().perm(), 0o600);
    assert_eq!(read(&host, "/srv/real/a").as_deref(), Some("a"));
    assert_eq!(read(&host, "/srv/hard").as_deref(), Some("new"));
    // A removed link leaves what it pointed to.
    foreseen(&real, &overlay, [remove("/srv/current")]);
    assert_eq!(stat(&host, "/srv/current"), None);
    assert_eq!(read(&host, "/srv/real/b").as_deref(), Some("b"));
}

#[test]
fn a_removed_tree_is_gone_and_a_new_one_is_empty() {
    let real = bare()
        .dir("/srv", 0o755)
        .dir("/srv/x", 0o755)
        .dir("/srv/x/sub", 0o755)
        .file("/srv/x/sub/a", "a")
        .file("/srv/xy", "other");
    let overlay = Overlay::default();
    foreseen(
        &real,
        &overlay,
        [text("/srv/x/sub/b", "b"), remove("/srv/x")],
    );
    let host = OverlayHost::new(&real, &overlay);
    for path in ["/srv/x", "/srv/x/sub", "/srv/x/sub/a", "/srv/x/sub/b"] {
        assert_eq!(stat(&host, path), None, "{path}");
    }
    assert_eq!(names(&host, "/srv/x"), None);
    assert_eq!(names(&host, "/srv"), Some(vec!["xy".into()]));
    foreseen(&real, &overlay, [dir("/srv/x", Attrs::default())]);
    assert_eq!(names(&host, "/srv/x"), Some(vec![]));
    assert_eq!(stat(&host, "/srv/x/sub/a"), None);
    foreseen(&real, &overlay, [dir("/srv/x/sub", Attrs::default())]);
    assert_eq!(stat(&host, "/srv/x/sub/a"), None);
}

#[test]
fn copies_keep_what_they_were_copied_from() {
    let real = bare().file("/etc/a", "old");
    let overlay = Overlay::default();
    let from_a = |path| file(path, Content::HostFile("/etc/a".into()));
    foreseen(
        &real,
        &overlay,
        [
            from_a("/etc/b"),
            text("/etc/a", "new"),
            from_a("/etc/c"),
            remove("/etc/a"),
        ],
    );
    let host = OverlayHost::new(&real, &overlay);
    assert_eq!(read(&host, "/etc/a"), None);
    assert_eq!(read(&host, "/etc/b").as_deref(), Some("old"));
    assert_eq!(read(&host, "/etc/c").as_deref(), Some("new"));
    let sum = host.checksum(Path::new("/etc/b"), "md5").unwrap();
    assert_eq!(sum, hostler_module_api::digest(b"old", "md5"));
    let content = Content::HostFile("/etc/c".into());
    assert_eq!(host.content(&content, 10).unwrap(), b"new");
}

#[test]
fn touching_makes_a_file_and_sets_times() {
    let real = bare();
    let overlay = Overlay::default();
    let times = Times {
        atime_ns: None,
        mtime_ns: Some(5),
    };
    let path = "/etc/touched".into();
    foreseen(&real, &overlay, [Edit::SetTimes { path, times }]);
    let host = OverlayHost::new(&real, &overlay);
    let made = stat(&host, "/etc/touched").unwrap();
    assert_eq!((made.size, made.mtime_ns), (0, 5));
}

#[test]
fn declared_accounts_own_files() {
    let real = bare();
    let overlay = Overlay::default();
    let user = UserEffect {
        name: "shop".into(),
        uid: Some(4200),
        group: Some(Owner::Name("shop".into())),
        ..UserEffect::default()
    };
    let nobody_knows = UserEffect {
        name: "later".into(),
        ..UserEffect::default()
    };
    let group = |name: &str, gid| Effect::Group {
        name: name.into(),
        gid,
    };
    foreseen(
        &real,
        &overlay,
        [
            effects(vec![
                group("shop", None),
                Effect::User(user),
                Effect::User(nobody_knows),
                Effect::Member {
                    user: "shop".into(),
                    group: "daemon".into(),
                    present: true,
                },
            ]),
            dir("/home/shop", owned_by("shop", Some(0o700))),
        ],
    );
    let host = OverlayHost::new(&real, &overlay);
    let home = stat(&host, "/home/shop").unwrap();
    assert_eq!(
        (home.uid, home.gid, home.perm()),
        (4200, FIRST_STAND_IN, 0o700)
    );
    let shop = host.account("shop").unwrap().unwrap();
    assert_eq!(host.account("4200").unwrap(), Some(shop.clone()));
    assert_eq!(shop.gid, host.group("shop").unwrap().unwrap().gid);
    let later = host.account("later").unwrap().unwrap();
    assert!(later.uid > FIRST_STAND_IN);
    assert_eq!(
        host.accounts().unwrap().len(),
        real.accounts().unwrap().len() + 2
    );
    let members = || host.group("daemon").unwrap().unwrap().members;
    assert_eq!(members(), ["shop"]);
    // Real accounts can go, and with an account its memberships.
    let gone = ["shop", "daemon"].map(|name| Effect::NoUser(name.into()));
    let mut gone = gone.to_vec();
    gone.push(Effect::NoGroup("shop".into()));
    foreseen(&real, &overlay, [effects(gone)]);
    assert_eq!(host.account("shop").unwrap(), None);
    assert_eq!(host.account("daemon").unwrap(), None);
    assert_eq!(host.account("1").unwrap(), None);
    assert_eq!(host.group("shop").unwrap(), None);
    assert!(members().is_empty());
    assert!(host.account("root").unwrap().is_some());
}

/// By the module and the driver: what is written as a whole is predicted, what is edited in part is unknown.
#[test]
fn modules_where_a_package_comes() {
    let real = bare()
        .payload_is("user www-data;\n")
        .dir("/etc/default", 0o755);
    let overlay = with_new_package(&real);
    let run = |module: &str, pairs: &[(&str, &str)]| {
        let task = task_of(6);
        let mut preview = Preview::new(&real, &overlay, &task);
        let args: Value = pairs.iter().copied().collect::<hostler_value::Map>().into();
        preview.gives(&args);
        let mode = hostler_module_api::Mode {
            check: true,
            ..hostler_module_api::Mode::default()
        };
        let outcome = hostler_modules::run(module, &args, mode, &mut preview);
        let mut outcome = outcome.unwrap();
        preview.finish(&mut outcome);
        outcome
    };
    let written = run(
        "copy",
        &[("dest", "/etc/nginx/nginx.conf"), ("mode", "0644")],
    );
    assert_eq!(
        (written.changed, written.failed, written.unknown),
        (true, None, vec![])
    );
    let link = [
        ("src", "nginx.conf"),
        ("dest", "/etc/nginx/main.conf"),
        ("state", "link"),
    ];
    let linked = run("file", &link);
    assert_eq!(
        (linked.changed, linked.failed, linked.unknown),
        (true, None, vec![])
    );
    let line = [
        ("path", "/etc/default/nginx"),
        ("line", "ENABLED=yes"),
        ("create", "true"),
    ];
    let edited = run("lineinfile", &line);
    assert_eq!(
        (edited.changed, edited.failed, edited.unknown.len()),
        (false, None, 1)
    );
}

#[test]
fn names_of_new_files_are_made_up() {
    let real = bare();
    let overlay = Overlay::default();
    let task = task_of(300);
    let preview = Preview::new(&real, &overlay, &task);
    let uuid = || {
        let bytes = preview
            .host()
            .read(Path::new(super::reveal::UUID), 64)
            .unwrap()
            .unwrap();
        String::from_utf8(bytes).unwrap().replace('-', "")
    };
    let name = |uuid: &str| format!("/tmp/x{}{}", &uuid[..8], &uuid[24..32]);
    let (a, b) = (name(&uuid()), name(&uuid()));
    assert_ne!(a, b);
    let mut outcome = Outcome::default();
    outcome.fields.insert("path", a);
    preview.finish(&mut outcome);
    let path = outcome.fields.get("path").unwrap();
    assert_eq!(path.unknown_part().unwrap().until[0].task, 300);
    assert!(path.to_text().starts_with("/tmp/x\u{ab}"), "{path}");
}
