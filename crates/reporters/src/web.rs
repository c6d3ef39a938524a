//! What every page has: its head, its style, and text that is harmless in it.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{hosts, sanitize};

/// A whole page: no other file, no script, nothing from a network. `style` is added to the common one.
pub(crate) fn page(title: &str, style: &str, body: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (plain(title)) }
                style { (PreEscaped(STYLE)) (PreEscaped(style)) }
            }
            body {
                h1 { (plain(title)) }
                (body)
            }
        }
    }
    .into_string()
}

/// Text in one line, harmless.
pub(crate) fn plain(text: &str) -> String {
    sanitize::line(text, 2000)
}

/// Names, folded.
pub(crate) fn names<S: AsRef<str>>(all: &[S]) -> String {
    let names: Vec<String> = all.iter().map(|it| sanitize::name(it.as_ref())).collect();
    hosts::fold_line(&names, 100_000)
}

const STYLE: &str = "
body{font:15px/1.45 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:1.8rem;border-bottom:1px solid #d0d7de}
table{border-collapse:collapse;font-size:.9rem}th,td{text-align:left;padding:.15rem .8rem .15rem 0;vertical-align:top}
td.number{text-align:right}.hosts td,.hosts th{border-bottom:1px solid #eaeef2}
.counts span{display:inline-block;margin:0 .8rem .3rem 0;padding:.1rem .5rem;border-radius:.4rem;background:#f6f8fa}
.change{color:#8a5a00}.unknown{color:#7a2fa0}.fail{color:#b3141d}.same,.skip{color:#57606a}
details.task{border:1px solid #d0d7de;border-radius:.4rem;margin:.5rem 0;padding:.4rem .7rem}
summary{cursor:pointer}small,.note{color:#57606a}.group{margin:.4rem 0 .4rem 1rem}.group p{margin:.2rem 0}
pre{background:#f6f8fa;padding:.5rem;overflow-x:auto;font:12.5px/1.4 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere}
.add{color:#11632b}.del{color:#b3141d}.hunk{color:#0a5a8a}.head{font-weight:bold}
ul{margin:.2rem 0;padding-left:1.3rem}code{font-family:ui-monospace,monospace;font-size:.9em;overflow-wrap:anywhere}
@media print{body{max-width:none;margin:0;font-size:11px}details.task{break-inside:avoid}}
";
