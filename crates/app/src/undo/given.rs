//! The request of the run that is undone, with what the user gives anew.

use std::path::{Path, PathBuf};

use crate::request::ApplyRequest;
use crate::stored_request::StoredRequest;

/// As the run had it; what is given goes before. Paths of the run are relative to where it was started.
pub(super) fn merged(stored: &StoredRequest, given: &ApplyRequest) -> ApplyRequest {
    let directory = Path::new(&stored.directory);
    let mut it = stored.request(given);
    absolute_all(&mut it, directory);
    it.check = given.check;
    it.diff = given.diff;
    it.forks = given.forks;
    it.limit.clone_from(&given.limit);
    it.limits = given.limits;
    it.tags.clear();
    it.skip_tags.clear();
    it.start_at_task = None;
    it.force_handlers = false;
    if !given.inventory.is_empty() {
        it.inventory.clone_from(&given.inventory);
    }
    it.extra_vars.extend(given.extra_vars.iter().cloned());
    let (to, from) = (&mut it.connect, &given.connect);
    replace(&mut to.user, from.user.as_ref());
    replace(&mut to.private_key, from.private_key.as_ref());
    replace(&mut to.connection, from.connection.as_ref());
    replace(&mut to.timeout_s, from.timeout_s.as_ref());
    replace(&mut to.ssh_common_args, from.ssh_common_args.as_ref());
    replace(&mut to.ssh_extra_args, from.ssh_extra_args.as_ref());
    replace(&mut to.ssh_config, from.ssh_config.as_ref());
    to.accept_new_host_keys |= from.accept_new_host_keys;
    let (to, from) = (&mut it.r#become, &given.r#become);
    to.r#become |= from.r#become;
    replace(&mut to.method, from.method.as_ref());
    replace(&mut to.user, from.user.as_ref());
    it
}

fn replace<T: Clone>(to: &mut Option<T>, from: Option<&T>) {
    if let Some(from) = from {
        *to = Some(from.clone());
    }
}

fn absolute_all(it: &mut ApplyRequest, directory: &Path) {
    let absolute = |path: &mut PathBuf| *path = directory.join(&*path);
    it.playbooks.iter_mut().for_each(absolute);
    it.connect.private_key.iter_mut().for_each(absolute);
    it.connect.ssh_config.iter_mut().for_each(absolute);
    for source in it.inventory.iter_mut().filter(|it| !it.contains(',')) {
        *source = directory.join(&*source).display().to_string();
    }
    for vars in &mut it.extra_vars {
        if let Some(path) = vars.trim().strip_prefix('@') {
            *vars = format!("@{}", directory.join(path).display());
        }
    }
}
