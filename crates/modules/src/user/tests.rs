use super::*;
use hostler_module_api::fake::{Checked, FakeHost, check_fails, check_module};
use serde_json::json;

const ROOT: &str = "root:x:0:0:root:/root:/bin/bash\n";
const ALICE: &str = "root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000:Alice:/home/alice:/bin/sh\n";
const GROUPS: &str = "root:x:0:\nalice:x:1000:\nweb:x:33:\nadm:x:4:alice\n";

fn args(json: serde_json::Value) -> Value {
    serde_json::from_value(json).unwrap()
}

fn run(json: serde_json::Value, host: FakeHost) -> Checked {
    check_module::<This>(args(json), host)
}

fn alice() -> FakeHost {
    FakeHost::bare()
        .file("/etc/passwd", ALICE)
        .file("/etc/group", GROUPS)
        .file("/etc/shadow", "alice:$6$salt$old:19000:0:99999:7:::\n")
        .dir("/home/alice", 0o755)
}

#[test]
fn creates_once_and_never_shows_the_password() {
    let hash = format!("$6$salt${}", "a".repeat(86));
    let shadow = format!("bob:{hash}:19000:0:99999:7:::\n");
    let passwd = format!("{ROOT}bob:x:1500:1500::/home/bob:/bin/bash\n");
    let host = FakeHost::bare()
        .file("/etc/group", GROUPS)
        .on("useradd -u 1500 -G web,adm -s /bin/bash -m bob", move |host| {
            host.set_text("/etc/passwd", &passwd);
            host.set_text("/etc/shadow", "bob:!:19000:0:99999:7:::\n");
            *host = std::mem::take(host).dir("/home/bob", 0o700);
            host.set_text(
                "/etc/group",
                "root:x:0:\nweb:x:33:bob\nadm:x:4:bob\nbob:x:1500:\n",
            );
            CommandOutput::default()
        })
        .on_writes("chpasswd -e", &[("/etc/shadow", &shadow)]);
    let done = run(
        json!({"name": "bob", "uid": 1500, "groups": "web, adm", "shell": "/bin/bash", "password": hash}),
        host,
    );
    assert!(done.first.changed && !done.second.changed);
    assert_eq!(done.first.fields.get("uid"), Some(&Value::Int(1500)));
    assert_eq!(done.first.fields.get("groups"), Some(&Value::str("web,adm")));
    assert!(!format!("{:?}", done.first).contains(&hash));
    assert!(done.first.warnings.is_empty());
}

#[test]
fn changes_only_what_differs() {
    let host = alice().on_writes(
        "usermod -a -G web -c 'Alice A.' alice",
        &[
            ("/etc/passwd", "alice:x:1000:1000:Alice A.:/home/alice:/bin/sh\n"),
            ("/etc/group", "root:x:0:\nalice:x:1000:\nweb:x:33:alice\nadm:x:4:alice\n"),
        ],
    );
    let done = run(
        json!({"name": "alice", "groups": ["web"], "append": true, "comment": "Alice A.", "shell": "/bin/sh"}),
        host,
    );
    assert!(done.first.changed && !done.second.changed);
    assert_eq!(done.first.deltas.len(), 2);
}

#[test]
fn takes_out_of_other_groups_without_append() {
    let host = alice().on_writes("usermod -G '' alice", &[("/etc/group", "alice:x:1000:\n")]);
    let done = run(json!({"name": "alice", "groups": []}), host);
    assert!(done.first.changed && !done.second.changed);
}

#[test]
fn passwords_are_compared_without_their_lock() {
    let same = run(json!({"name": "alice", "password": "!$6$salt$old"}), alice());
    assert!(!same.first.changed);
    let once = run(json!({"name": "alice", "password": "$6$new", "update_password": "on_create"}), alice());
    assert!(!once.first.changed);
    let host = alice().on_writes("usermod -L alice", &[("/etc/shadow", "alice:!$6$salt$old:1::::::\n")]);
    let locked = run(json!({"name": "alice", "password_lock": true}), host);
    assert!(locked.first.changed && !locked.second.changed);
    let mut host = alice();
    host.set_text("/etc/shadow", "alice:!:1::::::\n");
    assert!(!run(json!({"name": "alice", "password_lock": false}), host).first.changed);
}

#[test]
fn dates_and_ages() {
    let host = alice()
        .on_writes(
            "usermod -e 2015-01-28 -f 5 alice",
            &[("/etc/shadow", "alice:$6$salt$old:19000:0:99999:7:5:16463:\n")],
        )
        .on_writes(
            "chage -M 90 alice",
            &[("/etc/shadow", "alice:$6$salt$old:19000:0:90:7:5:16463:\n")],
        );
    let json = json!({
        "name": "alice", "expires": 1_422_403_387, "password_expire_account_disable": 5,
        "password_expire_max": 90, "password_expire_min": 0,
    });
    let done = run(json, host);
    assert!(done.first.changed && !done.second.changed);
    assert_eq!(done.first.deltas.len(), 3);
}

#[test]
fn makes_a_missing_home_from_the_skeleton() {
    let mut host = alice()
        .dir("/etc/skel", 0o755)
        .file("/etc/skel/.profile", "umask 022\n")
        .link("/etc/skel/logs", "/var/log")
        .file("/etc/login.defs", "UMASK 022\nHOME_MODE 0700\n");
    host.set_text("/etc/passwd", "alice:x:1000:1000::/srv/x/alice:/bin/sh\n");
    let done = run(json!({"name": "alice"}), host.dir("/srv", 0o755));
    assert!(done.first.changed && !done.second.changed);
    let home = done.host.at("/srv/x/alice").unwrap();
    assert_eq!((home.mode, home.uid, home.gid), (0o700, 1000, 1000));
    assert_eq!(done.host.at("/srv/x").unwrap().uid, 0);
    assert_eq!(done.host.at("/srv/x/alice/.profile").unwrap().uid, 1000);
    assert!(done.host.at("/srv/x/alice/logs").is_some());
}

#[test]
fn removes() {
    let host = alice().on_writes("userdel -f -r alice", &[("/etc/passwd", ROOT)]);
    let done = run(json!({"name": "alice", "state": "absent", "remove": true, "force": true}), host);
    assert!(done.first.changed && !done.second.changed);
    assert_eq!(done.first.fields.get("remove"), Some(&Value::Bool(true)));
}

#[test]
fn refuses_what_could_not_be() {
    let say = |json| check_fails::<This>(args(json), alice());
    assert_eq!(say(json!({"name": "bob", "uid": 1000})), "UID '1000' already exists with user 'alice'");
    assert!(say(json!({"name": "a:b"})).contains("not a login name"));
    assert!(say(json!({"name": "alice", "password": "x\nroot:y"})).contains("'password'"));
    assert!(say(json!({"name": "alice", "local": true, "umask": "077"})).contains("'umask'"));
}

#[test]
fn a_group_that_is_not_there_fails_also_in_a_preview() {
    let outcome = hostler_module_api::execute::<This>(
        &args(json!({"name": "alice", "group": "later"})),
        hostler_module_api::Mode { check: true, diff: false, forecast: false },
        &mut alice(),
    );
    assert_eq!(outcome.failed.unwrap().msg, "Group later does not exist");
    let message = check_fails::<This>(args(json!({"name": "alice", "group": "later"})), alice());
    assert_eq!(message, "Group later does not exist");
}

#[test]
fn the_local_variant_uses_libuser() {
    let host = alice().on_writes("lgroupmod -M alice web", &[("/etc/group", "alice:x:1000:\nweb:x:33:alice\nadm:x:4:alice\n")]);
    let done = run(json!({"name": "alice", "local": true, "groups": "web", "append": true}), host);
    assert!(done.first.changed && !done.second.changed);
}

fn declared(json: serde_json::Value, host: &FakeHost) -> Vec<Effect> {
    let args: Args = hostler_module_api::from_value(&args(json)).unwrap();
    let plan = This::plan(&args, &This::observe(&args, host).unwrap()).unwrap();
    let effects = plan.edits.into_iter().filter_map(|it| match it.edit {
        Edit::Run(run) => Some(run.effects),
        _ => None,
    });
    effects.flatten().collect()
}

#[test]
fn a_new_account_brings_its_group_and_home() {
    let host = alice().dir("/etc/skel", 0o755).file("/etc/skel/.profile", "x");
    let effects = declared(json!({"name": "bob", "uid": 33, "groups": "web"}), &host);
    // The number is another group's already, so `useradd` picks one.
    assert_eq!(effects[0], Effect::Group { name: "bob".into(), gid: None });
    let bob = UserEffect {
        name: "bob".into(),
        uid: Some(1001),
        group: Some(Owner::Name("bob".into())),
        ..UserEffect::default()
    };
    let effects = declared(json!({"name": "bob", "uid": 1001, "groups": "web"}), &host);
    assert_eq!(effects[0], Effect::Group { name: "bob".into(), gid: Some(1001) });
    assert_eq!(effects[1], Effect::User(bob));
    assert_eq!(effects[2], Effect::Member { user: "bob".into(), group: "web".into(), present: true });
    let paths: Vec<_> = effects[3..]
        .iter()
        .map(|it| match it {
            Effect::Edit(Edit::MakeDir(dir)) => dir.path.display().to_string(),
            Effect::Edit(Edit::WriteFile(write)) => write.path.display().to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(paths, ["/home/bob", "/home/bob/.profile"]);
    let effects = declared(json!({"name": "bob", "group": "web", "create_home": false}), &host);
    assert_eq!(effects.len(), 1, "{effects:?}");
    let Effect::User(user) = &effects[0] else { panic!("{effects:?}") };
    assert_eq!((user.uid, &user.group), (None, &Some(Owner::Id(33))));
}

#[test]
fn what_a_change_and_a_removal_bring() {
    let effects = declared(json!({"name": "alice", "groups": ["web"], "shell": "/bin/zsh"}), &alice());
    let Effect::User(user) = &effects[0] else { panic!("{effects:?}") };
    assert_eq!((user.shell.as_deref(), user.uid), (Some("/bin/zsh"), None));
    let member = |group: &str, present| Effect::Member { user: "alice".into(), group: group.into(), present };
    assert_eq!(effects[1..], [member("web", true), member("adm", false)]);
    assert!(declared(json!({"name": "alice", "shell": "/bin/sh"}), &alice()).is_empty());
    let effects = declared(json!({"name": "alice", "state": "absent", "remove": true}), &alice());
    assert_eq!(effects[..2], [Effect::NoUser("alice".into()), Effect::NoGroup("alice".into())]);
    assert!(matches!(&effects[2], Effect::Edit(Edit::Remove(it)) if it.path.ends_with("home/alice")));
}
