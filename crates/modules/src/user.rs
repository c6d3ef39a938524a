//! `user`: accounts of the host.

mod args;
mod effects;
mod home;
mod password;
mod ssh_key;
mod tools;

use hostler_module_api::prelude::*;
use hostler_module_api::{Account, Group};
use hostler_probes::Shadow;

pub(crate) use args::{Args, spec};
use args::{State, UpdatePassword};
use home::Home;
use ssh_key::SshKey;

pub(crate) struct This;

/// What was seen.
pub(crate) struct Seen {
    account: Option<Account>,
    /// `None` also if `/etc/shadow` cannot be read.
    shadow: Option<Shadow>,
    groups: Vec<Group>,
    /// Another account that has the wanted number.
    uid_of: Option<String>,
    home: Home,
    key: Option<SshKey>,
}

impl Seen {
    /// The group that an argument means: Ansible tries a number first.
    fn group(&self, name_or_gid: &str) -> Option<&Group> {
        let gid = name_or_gid.parse::<u32>().ok();
        let by_gid = gid.and_then(|gid| self.groups.iter().find(|it| it.gid == gid));
        by_gid.or_else(|| self.groups.iter().find(|it| it.name == name_or_gid))
    }

    /// Groups that list the user as a member.
    fn memberships(&self, user: &str) -> Vec<String> {
        let has = |group: &&Group| group.members.iter().any(|it| it == user);
        self.groups.iter().filter(has).map(|it| it.name.clone()).collect()
    }
}

impl Module for This {
    type Args = Args;
    type State = Seen;
    const NAME: &'static str = "user";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<Seen, ModuleError> {
        args.check()?;
        let accounts = if args.local {
            let file = hostler_probes::text(host, "/etc/passwd").ok_or_else(|| {
                ModuleError::new(
                    "'local: true' specified but unable to find local account file /etc/passwd to parse.",
                )
            })?;
            file.lines().filter_map(Account::parse).collect()
        } else {
            host.accounts()?
        };
        let account = accounts.iter().find(|it| it.name == args.name).cloned();
        let uid_of = accounts.iter().find(|it| Some(it.uid) == args.uid && it.name != args.name);
        let (home, key) = if args.state == State::Present {
            (home::look(args, account.as_ref(), host)?, ssh_key::look(args, account.as_ref(), host)?)
        } else {
            (Home::default(), None)
        };
        Ok(Seen {
            shadow: hostler_probes::shadow(host, &args.name),
            groups: host.groups()?,
            uid_of: uid_of.map(|it| it.name.clone()),
            account,
            home,
            key,
        })
    }

    fn plan(args: &Args, now: &Seen) -> Result<Plan, ModuleError> {
        let mut plan = Plan::none();
        if args.state == State::Absent {
            if now.account.is_some() {
                let run = Run::new(tools::remove(args)).bringing(effects::removed(args, now));
                plan.push(Delta::field(args.subject(), "state", "present", "absent"), Edit::Run(run));
            }
            return Ok(plan);
        }
        let uid_differs = now.account.as_ref().map(|it| it.uid) != args.uid;
        if let (Some(uid), Some(other), true, false) = (args.uid, &now.uid_of, uid_differs, args.non_unique) {
            return Err(ModuleError::new(format!("UID '{uid}' already exists with user '{other}'")));
        }
        warn(args, now, &mut plan);
        match &now.account {
            None => create(args, now, &mut plan),
            Some(account) => modify(args, account, now, &mut plan),
        }
        Ok(plan)
    }

    fn report(args: &Args, ran: &Ran<'_, Seen>) -> Report {
        let mut report = Report::default().with("name", &args.name).with("state", args.state.word());
        if args.state == State::Absent {
            if ran.before.account.is_some() {
                report = report.with("force", args.force).with("remove", args.remove);
            }
            return report.with_printed(ran.applied);
        }
        report = if ran.before.account.is_none() {
            report.with("system", args.system).with("create_home", args.create_home)
        } else {
            report.with("append", args.append).with("move_home", args.move_home)
        };
        if args.password.is_some() {
            report = report.with("password", "NOT_LOGGING_PASSWORD");
        }
        if let Some(account) = &ran.after.account {
            report = report
                .with("uid", account.uid)
                .with("group", account.gid)
                .with("comment", &account.gecos)
                .with("home", &account.home)
                .with("shell", &account.shell);
            if let Some(groups) = &args.groups {
                report = report.with("groups", groups.join(","));
            }
        }
        if let Some(key) = &ran.after.key {
            report = key.report(report);
        }
        report.with_printed(ran.applied)
    }
}

/// Says what the tools would refuse or do otherwise than one may think.
fn warn(args: &Args, now: &Seen, plan: &mut Plan) {
    let named = args.group.iter().chain(args.groups.iter().flatten());
    for group in named.filter(|it| now.group(it).is_none()) {
        plan.unmet.push(format!("Group {group} does not exist"));
    }
    if args.password.as_deref().is_some_and(|it| !password::looks_hashed(it)) {
        plan.warnings.push(
            "The input password appears not to have been hashed. The 'password' argument must be encrypted for \
             this module to work properly."
                .into(),
        );
    }
    if args.append && args.groups.is_none() {
        plan.warnings.push("'append' is set, but no 'groups' are specified".into());
    }
}

fn create(args: &Args, now: &Seen, plan: &mut Plan) {
    now.home.make_parents(plan);
    let subject = args.subject();
    let mut deltas = vec![Delta::field(&subject, "state", "absent", "present")];
    let mut given = |name: &str, value: Option<Value>| {
        deltas.extend(value.map(|value| Delta::field(&subject, name, Value::Null, value)));
    };
    given("uid", args.uid.map(Value::from));
    given("group", args.group.as_deref().map(Value::from));
    given("groups", args.groups.as_deref().map(Value::from));
    given("comment", args.comment.as_deref().map(Value::from));
    given("home", args.home.as_deref().map(Value::from));
    given("shell", args.shell.as_deref().map(Value::from));
    given("expires", args.expires.map(|it| Value::from(password::date_of(it))));
    push(tools::add(args, now), deltas, || effects::created(args, now), plan);
    if let Some(password) = &args.password {
        let delta = Delta::field(&subject, "password", Value::Null, password::HIDDEN);
        plan.push(delta, Edit::Run(password::set(args, password)));
    }
    password::ages(args, None, plan);
    // The key belongs to an account whose numbers are known only when it is there.
    plan.incomplete = args.generate_ssh_key;
}

fn modify(args: &Args, account: &Account, now: &Seen, plan: &mut Plan) {
    let mut deltas = Vec::new();
    let programs = tools::modify(args, account, now, &mut deltas);
    push(programs, deltas, || effects::modified(args, account, now), plan);
    if let Some(password) = args.password.as_deref().filter(|_| args.update_password == UpdatePassword::Always) {
        let current = now.shadow.as_ref().map_or("", Shadow::unlocked);
        if current != password.trim_start_matches('!') || (now.shadow.is_none() && !password.is_empty()) {
            let delta = Delta::field(args.subject(), "password", password::HIDDEN, password::HIDDEN_NEW);
            plan.push(delta, Edit::Run(password::set(args, password)));
        }
    }
    now.home.make(account, plan);
    ssh_key::make(args, account, now.key.as_ref(), plan);
    password::ages(args, now.shadow.as_ref(), plan);
}

/// Plans programs; the first explains itself and says what all of them bring about.
fn push(programs: Vec<Program>, deltas: Vec<Delta>, effects: impl FnOnce() -> Vec<Effect>, plan: &mut Plan) {
    let mut programs = programs.into_iter().map(Run::new);
    if let Some(first) = programs.next() {
        plan.push_all(deltas, Edit::Run(first.bringing(effects())));
    }
    for run in programs {
        plan.push_all(Vec::new(), Edit::Run(run));
    }
}

#[cfg(test)]
mod tests;
