//! The hosts of a play, cut into batches as `serial` and `order` say.

use std::sync::Arc;

use hostler_playbook::Play;
use hostler_value::Value;
use hostler_vars::PlayLayer;
use hostler_yaml::Node;

use super::play_scope;
use crate::context::RunContext;
use crate::failure::Failure;

/// Cuts the hosts as `serial` says: numbers or percentages, the last of a list repeats.
pub(super) fn batches(
    run: &RunContext,
    play: &Play,
    layer: &Arc<PlayLayer>,
    hosts: &[String],
) -> Result<Vec<Vec<String>>, Failure> {
    let hosts = ordered(play, hosts)?;
    let Some(node) = &play.serial else {
        return Ok(vec![hosts]);
    };
    let scope = play_scope(run, &hosts[0], layer);
    let value = run.engine.finalise(node, &scope);
    let value = value.map_err(|error| Failure::template(&error, &run.sources))?;
    let sizes = value
        .as_list()
        .map_or_else(|| vec![value.clone()], <[Value]>::to_vec);
    let sizes: Result<Vec<usize>, Failure> = sizes
        .iter()
        .map(|size| {
            let text = size.to_text();
            let count = match text.trim().strip_suffix('%') {
                Some(percent) => percent
                    .trim()
                    .parse::<f64>()
                    .ok()
                    .map(|percent| part(percent, hosts.len())),
                None => text.trim().parse::<usize>().ok(),
            };
            count.ok_or_else(|| {
                Failure::new(format!(
                    "`serial`: `{text}` is neither a number nor a percentage"
                ))
                .at(node.span)
            })
        })
        .collect();
    let sizes = sizes?;
    let mut rest = hosts.as_slice();
    let mut cut = Vec::new();
    for index in 0.. {
        let size = sizes
            .get(index)
            .or(sizes.last())
            .copied()
            .unwrap_or_default();
        let size = if size == 0 {
            rest.len()
        } else {
            size.min(rest.len())
        };
        if rest.is_empty() {
            break;
        }
        let (batch, after) = rest.split_at(size);
        cut.push(batch.to_vec());
        rest = after;
    }
    Ok(cut)
}

/// A percentage of the hosts, at least one.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small counts"
)]
fn part(percent: f64, count: usize) -> usize {
    ((percent.clamp(0.0, 100.0) / 100.0 * count as f64) as usize).max(1)
}

/// The hosts in the order that `order` asks for.
fn ordered(play: &Play, hosts: &[String]) -> Result<Vec<String>, Failure> {
    let mut hosts = hosts.to_vec();
    match play.order.as_ref().and_then(Node::as_str) {
        None | Some("inventory") => {}
        Some("reverse_inventory") => hosts.reverse(),
        Some("sorted") => hosts.sort(),
        Some("reverse_sorted") => {
            hosts.sort();
            hosts.reverse();
        }
        Some(other) => {
            let failure = Failure::new(format!("`order: {other}` is not available"));
            return Err(play.order.as_ref().map_or(failure, |node| Failure::new(format!(
                "`order: {other}` is not available; inventory, reverse_inventory, sorted and reverse_sorted are"
            )).at(node.span)));
        }
    }
    Ok(hosts)
}
