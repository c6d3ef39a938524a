//! pacman, with packages made by bsdtar and a repository made by repo-add.

use hostler_package_managers::Pacman;
use hostler_updates::{Class, Conffiles, DatabaseState};

use super::*;

const SETTINGS: &str = "[options]\nArchitecture = auto\nSigLevel = Never\nIgnorePkg = kept\n\n[extra]\nServer = http://127.0.0.1:8313/extra\n";

fn prepare(view: &View) {
    view.shell("kill $(cat /srv/pid 2>/dev/null) 2>/dev/null || true; rm -rf /srv/* /var/lib/hostler /var/lib/pacman /usr/share/made /etc/tool.conf*");
    view.shell(include_str!("make-pacman.sh"));
    view.shell(&format!(
        "mkdir -p /var/lib/pacman/sync /var/cache/pacman/pkg /var/lib/hostler/patch/packages/new
        rm -f /var/cache/pacman/pkg/*
        printf '%b' '{SETTINGS}' >/etc/pacman.conf
        pacman -U --noconfirm /srv/first/*.zst"
    ));
    serve(view, 8313);
}

#[test]
fn pacman_does_exactly_what_was_planned() {
    let packages = "pacman-package-manager makepkg libarchive-tools zstd";
    let Some(stage) = stage("pacman", "pacman", packages) else {
        return;
    };
    let (view, manager, metadata) = (&stage.view, &Pacman, Path::new(METADATA));
    prepare(view);
    let state = "cd /var/lib/pacman; find . -type f -exec sha256sum {} + | sort";
    let as_it_was = view.shell(state);
    let before = manager.installed(view).unwrap();
    assert_eq!(before.len(), 5);
    assert_eq!(before[&package("library", "any")], "1:2.0-1");
    assert!(!manager.pins_versions());

    // One package whose dependency is missing keeps all from being upgraded, and that is said.
    let survey = manager.survey(view, metadata, true).unwrap();
    assert!(
        survey.findings.iter().any(|it| it.code == "unsolved"),
        "{survey:#?}"
    );
    let text = survey
        .findings
        .iter()
        .find(|it| it.code == "no-classification");
    assert!(text.unwrap().text.starts_with("NO "));
    let refused = update(&survey.updates, "tool");
    assert!(
        refused
            .kept_back
            .as_ref()
            .unwrap()
            .contains("nothing-has-this")
    );
    assert_eq!(
        (refused.to.as_str(), refused.class),
        ("1.2-1", Class::Unknown)
    );
    let kept = update(&survey.updates, "kept");
    assert!(kept.kept_back.as_ref().unwrap().contains("IgnorePkg"));
    assert_eq!(survey.repositories[0].sha256.len(), 64);

    // Without it.
    view.shell("cd /srv/extra; repo-remove -q extra.db.tar.gz broken; rm broken*");
    let survey = manager.survey(view, metadata, true).unwrap();
    let tool = update(&survey.updates, "tool");
    assert_eq!(
        (tool.from.as_deref(), tool.to.as_str()),
        (Some("1.0-1"), "1.2-1")
    );
    assert!(tool.kept_back.is_none() && tool.download_bytes > 100);
    assert_eq!(tool.suites, ["extra"]);

    let some = [
        (package("tool", "any"), "1.1-1"),
        (package("kept", "any"), "2-1"),
        (package("library", "any"), "1:2.0-2"),
    ];
    let resolution = manager.resolve(view, metadata, &wanted(&some)).unwrap();
    let why = |name: &str| {
        let mut all = resolution.impossible.iter();
        all.find(|it| it.0.name == name)
            .map_or("", |it| it.1.as_str())
    };
    assert!(why("tool").contains("no source"), "{resolution:#?}");
    assert!(why("kept").contains("held"), "{resolution:#?}");
    assert_eq!(
        in_words(&resolution.actions),
        ["upgrade library 1:2.0-1 1:2.0-2"]
    );

    let full = [
        (package("tool", "any"), "1.2-1"),
        (package("library", "any"), "1:2.0-2"),
        (package("replacement", "any"), "3-1"),
    ];
    view.shell("echo changed >>/etc/tool.conf");
    let resolution = resolve(manager, view, &wanted(&full));
    let actions = &resolution.actions;
    assert_eq!(
        in_words(actions),
        [
            "upgrade library 1:2.0-1 1:2.0-2",
            "install newdep - 1-1",
            "remove old 1-1 -",
            "install replacement - 3-1",
            "upgrade tool 1.0-1 1.2-1"
        ]
    );
    assert!(actions[1].dependency);
    assert_eq!(resolution.conffiles.len(), 1);
    assert_eq!(
        (resolution.way_back.of, resolution.way_back.packages),
        (3, 0)
    );
    view.shell("cp /srv/first/tool-* /var/cache/pacman/pkg");
    let resolution = resolve(manager, view, &wanted(&full));
    assert_eq!(resolution.way_back.packages, 1);
    view.run(&manager.download(actions, metadata, Path::new(NEW)))
        .unwrap();
    assert_eq!(view.shell(&format!("ls {NEW} | wc -l")), "4");
    for action in actions.iter().filter(|it| it.sha256.is_some()) {
        let (name, hash) = (&action.package.name, action.sha256.as_deref().unwrap());
        assert!(
            view.shell(&format!("sha256sum {NEW}/{name}-*"))
                .starts_with(hash)
        );
    }
    view.shell(&format!("mkdir -p {OLD}"));
    let mut found = Vec::new();
    for (name, program) in manager.download_old(actions, metadata, Path::new(OLD)) {
        if view.run(&[program]).is_ok() {
            found.push(name.name);
        }
    }
    assert_eq!(found, ["tool"], "only this one is in pacman's cache");
    view.shell(&format!("cp /srv/first/*.zst {OLD}"));
    assert_eq!(view.shell(state), as_it_was, "until now it was only looked");
    stop(view);

    let install = |actions: &[Action], from: &str, conffiles| {
        view.run(&manager.install(actions, Path::new(from), conffiles, 1))
    };
    install(actions, NEW, Conffiles::KeepOld).unwrap();
    assert_eq!(manager.installed(view).unwrap(), after(&before, actions));
    assert_eq!(manager.database(view).unwrap(), DatabaseState::Whole);
    assert_eq!(
        manager.conffiles_left(view).unwrap(),
        ["/etc/tool.conf.pacnew"]
    );
    install(actions, NEW, Conffiles::KeepOld).unwrap();
    assert_eq!(manager.installed(view).unwrap(), after(&before, actions));
    install(&reversed(actions), OLD, Conffiles::KeepOld).unwrap();
    assert_eq!(manager.installed(view).unwrap(), before);
    view.shell("rm /etc/tool.conf.pacnew");
    install(actions, NEW, Conffiles::KeepNew).unwrap();
    assert_eq!(view.shell("cat /etc/tool.conf"), "tool-1.2-1");
    assert_eq!(
        manager.conffiles_left(view).unwrap(),
        ["/etc/tool.conf.pacsave"]
    );

    // A file that is not there is named, and nothing is done.
    view.shell(&format!("rm {NEW}/newdep-*"));
    let missing = install(actions, NEW, Conffiles::KeepOld).unwrap_err();
    assert!(
        missing.contains("newdep-1-1-any.pkg.tar.* is not there"),
        "{missing}"
    );

    // The lock of a pacman that was interrupted; and of one that works.
    view.shell("touch /var/lib/pacman/db.lck");
    assert!(matches!(
        manager.database(view).unwrap(),
        DatabaseState::Interrupted(_)
    ));
    assert_eq!(manager.lock_holder(view), None);
    view.shell("cp /bin/sleep /srv/pacman; /srv/pacman 60 >/dev/null 2>&1 & echo $! >/srv/locker");
    let holder = manager.lock_holder(view).expect("one works");
    assert!(holder.holder.starts_with("pacman (pid "), "{holder:?}");
    view.run(&manager.repair()).unwrap();
    let refused = install(actions, NEW, Conffiles::KeepOld).unwrap_err();
    assert!(refused.contains(": 75"), "{refused}");
    view.shell("kill $(cat /srv/locker); while pgrep -x pacman; do sleep 0.1; done");
    view.run(&manager.repair()).unwrap();
    assert_eq!(manager.database(view).unwrap(), DatabaseState::Whole);

    prepare(view);
    view.shell("cp /srv/first/tool-* /var/cache/pacman/pkg");
    let wanted = "[{name: tool, arch: any, version: 1.2-1}]";
    let says = [
        "installed 2 left ['/etc/tool.conf.pacnew']",
        "back 2 left 0",
    ];
    by_modules(&stage, wanted, &says);
}
