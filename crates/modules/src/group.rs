//! `group`: groups of the host.

use hostler_module_api::Group;
use hostler_module_api::prelude::*;

/// Create, change or remove a group.
///
/// ```yaml
/// - name: Deployers
///   group:
///     name: deploy
///     gid: 2000
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// Name of the group.
    name: String,
    /// Whether it should be there.
    #[serde(default)]
    state: State,
    /// Its number.
    gid: Option<u32>,
    /// Take the number of a new group from the range for system groups.
    #[serde(default)]
    system: bool,
    /// Look at and change the host's own files only, with the tools of `libuser`.
    #[serde(default)]
    local: bool,
    /// Allow a number that another group has. Needs `gid`.
    #[serde(default)]
    non_unique: bool,
    /// Remove the group even if it is a user's primary group.
    #[serde(default)]
    force: bool,
    /// Lowest number for a new group.
    gid_min: Option<u32>,
    /// Highest number for a new group.
    gid_max: Option<u32>,
}

/// Whether a group should be there.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It is there.
    #[default]
    Present,
    /// It is not.
    Absent,
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("group")
}

pub(crate) struct This;

/// What was seen.
pub(crate) struct Seen {
    group: Option<Group>,
    /// Another group that has the wanted number.
    taken_by: Option<String>,
    /// A user whose primary group it is.
    primary_of: Option<String>,
}

impl Module for This {
    type Args = Args;
    type State = Seen;
    const NAME: &'static str = "group";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<Seen, ModuleError> {
        check(args)?;
        let groups = if args.local {
            let file = hostler_probes::text(host, "/etc/group").ok_or_else(|| {
                ModuleError::new("'local: true' specified but unable to find local group file /etc/group to parse.")
            })?;
            file.lines().filter_map(Group::parse).collect()
        } else {
            host.groups()?
        };
        let group = groups.iter().find(|it| it.name == args.name).cloned();
        let taken_by = groups.iter().find(|it| Some(it.gid) == args.gid && it.name != args.name);
        let primary_of = match (&group, args.state) {
            (Some(group), State::Absent) => {
                let accounts = host.accounts()?;
                accounts.into_iter().find(|it| it.gid == group.gid).map(|it| it.name)
            }
            _ => None,
        };
        Ok(Seen { taken_by: taken_by.map(|it| it.name.clone()), primary_of, group })
    }

    fn plan(args: &Args, now: &Seen) -> Result<Plan, ModuleError> {
        let subject = format!("group {}", args.name);
        let mut plan = Plan::none();
        let gid_differs = args.gid.is_some() && now.group.as_ref().map(|it| it.gid) != args.gid;
        if let (State::Present, Some(gid), Some(other), true, false) =
            (args.state, args.gid, &now.taken_by, gid_differs, args.non_unique)
        {
            return Err(ModuleError::new(format!("GID '{gid}' already exists with group '{other}'")));
        }
        match (args.state, &now.group) {
            (State::Absent, None) => {}
            (State::Absent, Some(_)) => {
                if let (Some(user), false) = (&now.primary_of, args.force) {
                    return Err(ModuleError::new(format!("cannot remove the primary group of user '{user}'"))
                        .hint("`force: true` removes it all the same"));
                }
                let mut program = command(args, "groupdel");
                if args.force {
                    program.argv.push("-f".into());
                }
                let run = Run::new(named(program, args)).bringing(vec![Effect::NoGroup(args.name.clone())]);
                plan.push(Delta::field(subject, "state", "present", "absent"), Edit::Run(run));
            }
            (State::Present, None) => {
                let mut deltas = vec![Delta::field(&subject, "state", "absent", "present")];
                deltas.extend(args.gid.map(|gid| Delta::field(&subject, "gid", Value::Null, gid)));
                plan.push_all(deltas, Edit::Run(Run::new(named(add(args), args)).bringing(vec![is_there(args)])));
            }
            (State::Present, Some(group)) => {
                if let Some(gid) = args.gid.filter(|gid| *gid != group.gid) {
                    let mut program = command(args, "groupmod");
                    push_gid(&mut program, args);
                    let run = Run::new(named(program, args)).bringing(vec![is_there(args)]);
                    plan.push(Delta::field(subject, "gid", group.gid, gid), Edit::Run(run));
                }
            }
        }
        Ok(plan)
    }

    fn report(args: &Args, ran: &Ran<'_, Seen>) -> Report {
        let state = if args.state == State::Present { "present" } else { "absent" };
        let mut report = Report::default().with("name", &args.name).with("state", state);
        if let (Some(group), State::Present) = (&ran.after.group, args.state) {
            report = report.with("system", args.system).with("gid", group.gid);
        }
        report.with_printed(ran.applied)
    }
}

fn check(args: &Args) -> Result<(), ModuleError> {
    let problem = if args.non_unique && args.gid.is_none() {
        "non_unique is True but all of the following are missing: gid"
    } else if args.force && args.local {
        "force is not a valid option for local, force=True and local=True are mutually exclusive"
    } else if args.local && args.gid_min.is_some() {
        "'gid_min' can not be used with 'local'"
    } else if args.local && args.gid_max.is_some() {
        "'gid_max' can not be used with 'local'"
    } else if args.name.is_empty() || args.name.starts_with('-') || args.name.contains([':', '\n', '\0']) {
        "'name' is not a group name"
    } else {
        return Ok(());
    };
    Err(ModuleError::new(problem))
}

/// The tool, or its twin of `libuser` that never asks a directory service.
fn command(args: &Args, name: &str) -> Program {
    Program::new([if args.local { format!("l{name}") } else { name.to_owned() }])
}

fn named(mut program: Program, args: &Args) -> Program {
    program.argv.push(args.name.clone());
    program
}

fn is_there(args: &Args) -> Effect {
    Effect::Group { name: args.name.clone(), gid: args.gid }
}

fn push_gid(program: &mut Program, args: &Args) {
    if let Some(gid) = args.gid {
        program.argv.extend(["-g".to_owned(), gid.to_string()]);
        if args.non_unique {
            program.argv.push("-o".into());
        }
    }
}

fn add(args: &Args) -> Program {
    let mut program = command(args, "groupadd");
    push_gid(&mut program, args);
    if args.system {
        program.argv.push("-r".into());
    }
    for (name, value) in [("GID_MIN", args.gid_min), ("GID_MAX", args.gid_max)] {
        if let Some(value) = value {
            program.argv.extend(["-K".to_owned(), format!("{name}={value}")]);
        }
    }
    program
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::{FakeHost, check_fails, check_module};
    use serde_json::json;

    fn args(json: serde_json::Value) -> Value {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn creates_once() {
        let host = FakeHost::bare()
            .on_writes("groupadd -g 2000 -r deploy", &[("/etc/group", "root:x:0:\ndeploy:x:2000:\n")]);
        let done = check_module::<This>(args(json!({"name": "deploy", "gid": "2000", "system": true})), host);
        assert!(done.check.changed && done.first.changed && !done.second.changed);
        assert_eq!(done.first.fields.get("gid"), Some(&Value::Int(2000)));
        assert_eq!(done.first.fields.get("system"), Some(&Value::Bool(true)));
        assert_eq!(done.first.deltas.len(), 2);
    }

    #[test]
    fn changes_the_number_and_removes() {
        let host = FakeHost::bare()
            .file("/etc/group", "root:x:0:\nweb:x:50:\n")
            .on_writes("groupmod -g 60 web", &[("/etc/group", "root:x:0:\nweb:x:60:\n")])
            .on_writes("groupdel web", &[("/etc/group", "root:x:0:\n")]);
        let done = check_module::<This>(args(json!({"name": "web", "gid": 60})), host);
        assert!(done.first.changed && !done.second.changed);
        assert_eq!(done.host.ran, ["groupmod -g 60 web"]);
        let mut host = done.host;
        host.ran.clear();
        let done = check_module::<This>(args(json!({"name": "web", "state": "absent"})), host);
        assert!(done.first.changed && !done.second.changed);
        assert_eq!(done.host.ran, ["groupdel web"]);
    }

    #[test]
    fn foresees_what_the_tools_refuse() {
        let say = |json| check_fails::<This>(args(json), FakeHost::bare());
        assert_eq!(say(json!({"name": "x", "gid": 1})), "GID '1' already exists with group 'daemon'");
        assert_eq!(
            say(json!({"name": "daemon", "state": "absent"})),
            "cannot remove the primary group of user 'daemon'"
        );
        assert!(say(json!({"name": "x", "non_unique": true})).contains("missing: gid"));
        assert!(say(json!({"name": "-x"})).contains("not a group name"));
    }
}
