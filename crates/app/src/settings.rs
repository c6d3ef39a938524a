//! A request as the engine's settings and variables.

use std::path::PathBuf;

use hostler_executor::{ConnectDefaults, RunSettings};
use hostler_inventory::VarFiles;
use hostler_vars::{RunOptions, VarStore};

use crate::inputs::Inputs;
use crate::request::ApplyRequest;

/// Most hosts worked on at the same time where `-f` does not say: beyond it, files and memory of the controller are
/// the limit, not patience.
const FORKS_MAX: usize = 500;

/// The command line's part of the settings.
pub(crate) fn settings(request: &ApplyRequest, hosts: usize) -> RunSettings {
    let connect = &request.connect;
    let becoming = &request.r#become;
    RunSettings {
        run_read_only: request.run_read_only,
        check: request.check,
        diff: request.diff,
        forks: request.forks.unwrap_or(hosts.clamp(1, FORKS_MAX)).max(1),
        tags: request
            .tags
            .iter()
            .filter(|tag| *tag != "all")
            .cloned()
            .collect(),
        skip_tags: request.skip_tags.clone(),
        start_at_task: request.start_at_task.clone(),
        force_handlers: request.force_handlers,
        verbosity: request.verbosity,
        limits: request.limits,
        connect: ConnectDefaults {
            user: connect.user.clone(),
            password: connect.password.clone(),
            private_key: connect.private_key.clone(),
            key_passphrase: connect.key_passphrase.clone(),
            connection: connect.connection.clone(),
            ssh_args: connect
                .ssh_common_args
                .iter()
                .chain(&connect.ssh_extra_args)
                .cloned()
                .collect(),
            r#become: becoming.r#become,
            become_method: becoming.method.clone(),
            become_user: becoming.user.clone(),
            become_password: becoming.password.clone(),
        },
    }
}

/// Variables of the run; facts live on from playbook to playbook.
pub(crate) fn var_store(
    inputs: &Inputs,
    settings: &RunSettings,
    request: &ApplyRequest,
) -> VarStore {
    let options = RunOptions {
        playbook_dir: PathBuf::new(),
        check_mode: settings.check,
        diff_mode: settings.diff,
        verbosity: settings.verbosity,
        forks: settings.forks,
        limit: request.limit.clone(),
        run_tags: request.tags.clone(),
        skip_tags: request.skip_tags.clone(),
        inventory_sources: request.inventory.clone(),
    };
    VarStore::new(
        inputs.loaded.clone(),
        VarFiles::default(),
        inputs.extra.clone(),
        &options,
    )
}
