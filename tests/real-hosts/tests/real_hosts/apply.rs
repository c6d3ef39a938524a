//! The baseline and the site: what they leave, that they leave it alone the second time, and what a preview touches.

use real_hosts::engine::Engine;
use real_hosts::snapshot::Snapshot;
use real_hosts::{fleet, shell};
use xtask::fleet::{Fleet, Host, Init};

/// The end state of `playbooks/baseline.yml`.
fn expect_baseline(fleet: &Fleet, host: &Host) {
    let found = Snapshot::of(fleet, host);
    found.expect("srv/shop", ('d', 0o755, 0, 4200));
    found.expect("srv/shop/conf", ('d', 0o750, 0, 4200));
    found.expect("srv/shop/data", ('d', 0o2770, 4200, 4200));
    found.expect("srv/shop/data/restart-needed", ('f', 0o640, 4200, 4200));
    found.expect("srv/shop/conf/app.ini", ('f', 0o640, 4200, 4200));
    found.expect("srv/shop/conf/site-admin.conf", ('f', 0o640, 0, 4200));
    found.expect("etc/sudoers.d/shop", ('f', 0o440, 0, 0));
    found.expect("etc/motd", ('f', 0o644, 0, 0));
    found.expect("etc/shop", ('l', 0o777, 0, 0));
    assert!(
        found
            .text("etc/motd")
            .contains(&format!("Address: {}", host.address))
    );
    assert!(
        found
            .text("srv/shop/conf/app.ini")
            .contains("workers = 7\n")
    );
    assert!(
        found
            .text("srv/shop/conf/site-admin.conf")
            .contains("    deny all;\n")
    );
    assert!(
        !found
            .text("srv/shop/conf/site-api.conf")
            .contains("deny all")
    );
    assert!(
        found
            .text("etc/hosts")
            .contains("# BEGIN managed: shop\n192.0.2.10 db.shop.internal db\n")
    );
    assert!(found.text("etc/login.defs").contains("\nUMASK\t\t027\n"));
    assert_eq!(found.text("etc/default/shop"), "APP_ROOT=/srv/shop\n");
    let release = found.text("srv/shop/release.json");
    assert_eq!(
        release,
        "{\"app\": \"shop\", \"release\": \"1.4.2\", \"sites\": [\"front\", \"api\", \"admin\"]}\n"
    );
    assert_eq!(
        shell(host, "getent passwd shop"),
        "shop:x:4200:4200:Shop application:/srv/shop:/usr/sbin/nologin"
    );
    assert_eq!(shell(host, "readlink /etc/shop"), "/srv/shop/conf");
    assert_eq!(
        shell(host, "sshd -T | grep -i maxauthtries"),
        "maxauthtries 4"
    );
    let crontab = shell(host, "crontab -l -u shop");
    assert!(
        crontab.contains("#Ansible: shop clean-up\n17 3 * * * find /srv/shop/data"),
        "{crontab}"
    );
}

#[test]
fn the_baseline_leaves_what_it_says_and_changes_nothing_the_second_time() {
    let Some((fleet, hosts)) = fleet("baseline", 4, Init::Sshd) else {
        return;
    };
    let engine = Engine::under_test();

    let first = engine.apply(&fleet, "baseline.yml", &[]);
    first.expect_code(0);
    for host in &hosts {
        assert_eq!(first.count(&host.name, "ok"), 22, "{}", first.output);
        assert_eq!(first.count(&host.name, "changed"), 17, "{}", first.output);
        expect_baseline(&fleet, host);
    }

    let before: Vec<Snapshot> = hosts
        .iter()
        .map(|host| Snapshot::of(&fleet, host))
        .collect();
    let second = engine.apply(&fleet, "baseline.yml", &[]);
    second.expect_code(0);
    for (host, before) in hosts.iter().zip(&before) {
        assert_eq!(second.count(&host.name, "ok"), 21, "{}", second.output);
        assert_eq!(second.count(&host.name, "changed"), 0, "{}", second.output);
        assert_eq!(
            before.changes(&Snapshot::of(&fleet, host)),
            Vec::<String>::new(),
            "{}",
            host.name
        );
    }
}

#[test]
fn a_preview_shows_differences_and_touches_nothing() {
    let Some((fleet, hosts)) = fleet("preview", 2, Init::Sshd) else {
        return;
    };
    let engine = Engine::under_test();
    // ansible-core's check mode cannot model an account that does not exist yet; hostler's can.
    let playbook = if engine.is_hostler() {
        "baseline.yml"
    } else {
        "site.yml"
    };

    let before: Vec<Snapshot> = hosts
        .iter()
        .map(|host| Snapshot::of(&fleet, host))
        .collect();
    let preview = engine.apply(&fleet, playbook, &["--check", "--diff"]);
    if engine.is_hostler() {
        preview.expect_code(0);
    }
    preview.says(&["etc/motd", "+"]);
    for (host, before) in hosts.iter().zip(&before) {
        assert!(
            preview.count(&host.name, "changed") > 3,
            "{}",
            preview.output
        );
        assert_eq!(
            before.changes(&Snapshot::of(&fleet, host)),
            Vec::<String>::new(),
            "{}",
            host.name
        );
    }
}

#[test]
fn the_site_settles_after_one_run() {
    let Some((fleet, hosts)) = fleet("site", 3, Init::Sshd) else {
        return;
    };
    let engine = Engine::under_test();
    engine.apply(&fleet, "site.yml", &[]).expect_code(0);
    let found = Snapshot::of(&fleet, &hosts[0]);
    let operators = found.text("etc/acme-operators");
    assert_eq!(
        operators,
        "ada:lead:/bin/bash:-\ngrace:operator:/bin/sh:-\nlinus:guest:/bin/sh:2027-01-31\n"
    );
    let configuration = found.text("srv/acme/conf/app.ini");
    assert!(
        configuration.ends_with("[neighbours]\n1 = a002\n2 = a003\n"),
        "{configuration}"
    );
    let second = engine.apply(&fleet, "site.yml", &[]);
    second.expect_code(0);
    for host in &hosts {
        assert_eq!(second.count(&host.name, "changed"), 0, "{}", second.output);
    }
}
