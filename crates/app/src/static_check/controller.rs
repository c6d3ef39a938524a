//! Tasks that run on the controller: they may make the files that later ones send.

use hostler_inventory::Vars;
use hostler_playbook::Task;

use super::knowledge::{Found, each_entry};
use crate::inputs::Inputs;
use crate::request::ApplyRequest;

/// Modules that leave no files behind.
const READERS: [&str; 12] = [
    "assert", "debug", "fail", "meta", "pause", "ping", "set_fact", "setup", "slurp", "stat",
    "wait_for", "service",
];

/// May a task make files on the controller, which a later one may then send?
pub(super) fn files_appear(inputs: &Inputs, request: &ApplyRequest) -> bool {
    let inventory = &inputs.loaded.inventory;
    let says_other = |vars: &Vars| {
        let connection = vars.get("ansible_connection");
        connection.is_some_and(|it| it.as_str() != Some("ssh"))
    };
    let local = |name: &String| {
        hostler_inventory::is_localhost(name)
            || inventory.host(name).is_some_and(|host| {
                says_other(&host.vars)
                    || inventory
                        .groups_of(host)
                        .any(|group| says_other(&group.vars))
            })
    };
    let files = std::iter::once(&inputs.loaded.var_files)
        .chain(inputs.playbooks.iter().map(|book| &book.var_files));
    let in_files = files
        .flat_map(|files| files.groups.values().chain(files.hosts.values()))
        .chain(inventory.group("all").map(|all| &all.vars))
        .any(|vars| says_other(vars));
    let everywhere = in_files || request.connect.connection.as_deref() == Some("local");
    let plays = inputs.playbooks.iter().flat_map(|book| &book.plays);
    let mut found = false;
    for play in plays {
        let here = everywhere || play.hosts.iter().any(local);
        each_entry(&play.play, &mut |part| {
            if let Found::Task(task) = part {
                let writes = !READERS.contains(&task.module.as_str());
                found |= writes && (here || goes_to_controller(task));
            }
        });
    }
    found
}

fn goes_to_controller(task: &Task) -> bool {
    let keyword = |node: Option<&hostler_yaml::Node>, is: fn(&str) -> bool| {
        node.is_some_and(|node| node.is_dynamic() || node.as_str().is_some_and(is))
    };
    let delegate = task.context.nearest(|it| it.delegate_to.as_ref());
    let connection = task.context.nearest(|it| it.connection.as_ref());
    keyword(delegate, hostler_inventory::is_localhost) || keyword(connection, |it| it == "local")
}
