//! The linear strategy: a task ends on all hosts before the next begins.
//!
//! Lists of entries are run over sets of hosts. A block is: its list over the hosts that enter it; its rescue over those
//! that failed in it; its always over all that entered it.

use std::pin::Pin;
use std::sync::Arc;

use hostler_events::{RunEvent, TaskKind};
use hostler_playbook::{Block, Entry, Task};

use crate::actions::meta::Meta;
use crate::context::{RunContext, RunSettings};
use crate::play::{END_BATCH, PlayRun, RunState};

impl PlayRun {
    /// Runs a list over those of `hosts` that still take part.
    pub(crate) fn run_entries<'a>(
        self: &'a Arc<Self>,
        run: &'a Arc<RunContext>,
        state: &'a mut RunState,
        entries: &'a [Entry],
        hosts: &'a [String],
        rescuing: bool,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            for entry in entries {
                if run.interrupts.draining() {
                    self.stop("interrupted by the user");
                }
                if let Some(error) = run.journal_broken() {
                    self.stop(&error.to_string());
                }
                self.let_go(run, state);
                if self.live(hosts).is_empty() {
                    return;
                }
                match entry {
                    Entry::Task(task) if !run.settings.selects(task) => {}
                    Entry::Task(task) if task.module == "meta" => {
                        self.run_meta(run, state, task, hosts).await;
                    }
                    Entry::Task(task) => {
                        self.run_task(run, state, task, TaskKind::Task, hosts, rescuing)
                            .await;
                    }
                    Entry::Block(block) => self.run_block(run, state, block, hosts, rescuing).await,
                }
            }
        })
    }

    async fn run_block(
        self: &Arc<Self>,
        run: &Arc<RunContext>,
        state: &mut RunState,
        block: &Block,
        hosts: &[String],
        rescuing: bool,
    ) {
        let entered = self.live(hosts);
        let has_rescue = !block.rescue.is_empty();
        self.run_entries(run, state, &block.block, &entered, rescuing || has_rescue)
            .await;
        if has_rescue {
            let failed = self.set_failed(&entered, false);
            self.tell_hosts();
            self.run_entries(run, state, &block.rescue, &failed, rescuing)
                .await;
        }
        if !block.always.is_empty() {
            let failed = self.set_failed(&entered, false);
            self.run_entries(run, state, &block.always, &entered, rescuing)
                .await;
            self.set_failed(&failed, true);
        }
    }

    /// Sets the failed flag of hosts that can be reached, and gives those whose flag changed.
    pub(crate) fn set_failed(&self, hosts: &[String], failed: bool) -> Vec<String> {
        let mut flags = self.flags();
        let mut changed = Vec::new();
        for host in hosts {
            if let Some(flags) = flags
                .get_mut(host)
                .filter(|it| !it.unreachable && it.failed != failed)
            {
                flags.failed = failed;
                changed.push(host.clone());
            }
        }
        changed
    }

    async fn run_meta(
        self: &Arc<Self>,
        run: &Arc<RunContext>,
        state: &mut RunState,
        task: &Arc<Task>,
        hosts: &[String],
    ) {
        let word = task
            .args
            .entries
            .first()
            .and_then(|(_, _, node)| node.as_str().map(str::to_owned));
        let Some(meta) = word.as_deref().and_then(|word| Meta::parse(word.trim())) else {
            return;
        };
        let live = self.live(hosts);
        let mut chosen = Vec::new();
        for host in &live {
            if self.meta_applies(run, task, host) {
                chosen.push(host.clone());
            }
        }
        if chosen.is_empty() && meta != Meta::ClearHostErrors {
            return;
        }
        match meta {
            Meta::Noop => {}
            Meta::FlushHandlers => self.flush_handlers(run, state).await,
            Meta::EndPlay => {
                run.emit(RunEvent::Stopping {
                    reason: "`meta: end_play`".into(),
                });
                self.stop(END_BATCH);
            }
            Meta::EndBatch => self.stop(END_BATCH),
            Meta::EndHost => {
                let mut flags = self.flags();
                for host in &chosen {
                    if let Some(flags) = flags.get_mut(host) {
                        flags.ended = true;
                    }
                }
            }
            Meta::ClearFacts => chosen.iter().for_each(|host| run.vars.clear_facts(host)),
            Meta::ClearHostErrors => {
                let mut flags = self.flags();
                for flags in flags.values_mut() {
                    flags.failed = false;
                    flags.unreachable = false;
                }
                state.lost.clear();
            }
            Meta::ResetConnection => {
                for host in &chosen {
                    self.reset_connection(run, task, host).await;
                }
            }
        }
    }
}

impl RunSettings {
    /// Do `--tags` and `--skip-tags` let the task run? As Ansible documents the special tags.
    pub fn selects(&self, task: &Task) -> bool {
        let own: Vec<&str> = task.context.tags().collect();
        let has = |tag: &str| own.contains(&tag);
        let matches = |tag: &String| match tag.as_str() {
            "all" => !has("never"),
            "tagged" => !own.is_empty() && !has("never"),
            "untagged" => own.is_empty(),
            tag => has(tag),
        };
        let wanted = if self.tags.is_empty() {
            !has("never")
        } else {
            self.tags.iter().any(matches)
                || (has("always") && !self.tags.iter().any(|it| it == "never"))
        };
        let skipped = self.skip_tags.iter().any(|tag| match tag.as_str() {
            "all" => !has("always"),
            "tagged" => !own.is_empty(),
            "untagged" => own.is_empty(),
            tag => has(tag),
        });
        wanted && !skipped
    }
}
