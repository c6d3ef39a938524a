//! Building lists from lists.

use super::FilterFn;
use crate::args::{Args, count, flag, int, required, some};
use crate::context::Cx;
use crate::fail::{Fail, Res, bail};
use crate::ops;
use crate::text;
use crate::value::Val;

/// Longest list that combinatorial filters make.
const COMBINED_MAX: usize = 1_000_000;

pub(super) const TABLE: &[(&str, FilterFn)] = &[
    ("flatten", flatten),
    ("join", join),
    ("batch", batch),
    ("slice", slice),
    ("zip", zip),
    ("zip_longest", zip_longest),
    ("product", product),
    ("permutations", permutations),
    ("combinations", combinations),
    ("random", random),
    ("shuffle", shuffle),
];

fn flatten(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [levels, skip_nulls] = args.bind(["levels", "skip_nulls"])?;
    let levels = some(levels).map(|val| count(Some(&val), 0)).transpose()?;
    let skip = flag(skip_nulls.as_ref(), true)?;
    let mut out = Vec::new();
    flatten_into(cx, &base, levels, skip, &mut out)?;
    Ok(Val::list(out))
}

fn flatten_into(
    cx: &Cx<'_>,
    base: &Val,
    levels: Option<usize>,
    skip: bool,
    out: &mut Vec<Val>,
) -> Res<()> {
    let _level = cx.level()?;
    for item in ops::iterate(cx, base)? {
        let null = matches!(&item, Val::None)
            || matches!(&item, Val::Str(text) if matches!(&**text, "None" | "null"));
        if skip && null {
            continue;
        }
        match (&item, levels) {
            (Val::List(_) | Val::Seq(_), None) => flatten_into(cx, &item, None, skip, out)?,
            (Val::List(_) | Val::Seq(_), Some(left)) if left >= 1 => {
                flatten_into(cx, &item, Some(left - 1), skip, out)?;
            }
            _ => out.push(item),
        }
    }
    Ok(())
}

fn join(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [separator, attribute] = args.bind(["d", "attribute"])?;
    let separator = crate::args::text_or(cx, separator.as_ref(), "")?;
    let path = super::select::Path::new(cx, attribute.as_ref())?;
    let mut out = String::new();
    for (index, item) in ops::iterate(cx, &base)?.iter().enumerate() {
        if index > 0 {
            text::push(&mut out, &separator)?;
        }
        text::push(&mut out, &text::str(cx, &path.get(cx, item)?)?)?;
    }
    Ok(Val::str(out))
}

fn batch(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [size, fill] = args.bind(["linecount", "fill_with"])?;
    let size = count(Some(&required(size, "linecount")?), 1)?.max(1);
    let fill = some(fill);
    let items = ops::iterate(cx, &base)?;
    let rows = items.chunks(size).map(|chunk| {
        let mut row = chunk.to_vec();
        if let Some(fill) = &fill {
            row.resize(size.min(COMBINED_MAX), fill.clone());
        }
        Val::list(row)
    });
    Ok(Val::generator(rows.collect()))
}

fn slice(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [slices, fill] = args.bind(["slices", "fill_with"])?;
    let slices = count(Some(&required(slices, "slices")?), 1)?.clamp(1, COMBINED_MAX);
    let fill = some(fill);
    let items = ops::iterate(cx, &base)?;
    let (each, extra) = (items.len() / slices, items.len() % slices);
    let mut out = Vec::with_capacity(slices);
    let mut rest = items.into_iter();
    for number in 0..slices {
        let size = each + usize::from(number < extra);
        let mut part: Vec<Val> = rest.by_ref().take(size).collect();
        if let Some(fill) = &fill
            && number >= extra
        {
            part.push(fill.clone());
        }
        out.push(Val::list(part));
    }
    Ok(Val::generator(out))
}

fn columns(cx: &Cx<'_>, base: &Val, others: &[Val]) -> Res<Vec<Vec<Val>>> {
    let mut columns = vec![ops::iterate(cx, base)?];
    for other in others {
        columns.push(ops::iterate(cx, other)?);
    }
    Ok(columns)
}

fn zip(cx: &Cx<'_>, base: Val, mut args: Args) -> Res<Val> {
    let strict = flag(args.take("strict").as_ref(), false)?;
    let columns = columns(cx, &base, &args.pos)?;
    let shortest = columns.iter().map(Vec::len).min().unwrap_or(0);
    if strict && columns.iter().any(|column| column.len() != shortest) {
        bail!("zip() arguments have different lengths");
    }
    let rows = (0..shortest)
        .map(|row| Val::tuple(columns.iter().map(|column| column[row].clone()).collect()));
    Ok(Val::generator(rows.collect()))
}

fn zip_longest(cx: &Cx<'_>, base: Val, mut args: Args) -> Res<Val> {
    let fill = args.take("fillvalue").unwrap_or(Val::None);
    let columns = columns(cx, &base, &args.pos)?;
    let longest = columns.iter().map(Vec::len).max().unwrap_or(0);
    let rows = (0..longest).map(|row| {
        let cells = columns
            .iter()
            .map(|column| column.get(row).unwrap_or(&fill).clone());
        Val::tuple(cells.collect())
    });
    Ok(Val::generator(rows.collect()))
}

fn too_many() -> Fail {
    Fail::limit("the filter makes more than a million combinations")
}

fn product(cx: &Cx<'_>, base: Val, mut args: Args) -> Res<Val> {
    let repeat = count(args.take("repeat").as_ref(), 1)?;
    let once = columns(cx, &base, &args.pos)?;
    let mut rows: Vec<Vec<Val>> = vec![Vec::new()];
    for _ in 0..repeat {
        for column in &once {
            if rows.len().saturating_mul(column.len()) > COMBINED_MAX {
                return Err(too_many());
            }
            let grown = rows.iter().flat_map(|row| {
                column.iter().map(move |item| {
                    let mut row = row.clone();
                    row.push(item.clone());
                    row
                })
            });
            rows = grown.collect();
        }
    }
    Ok(Val::generator(rows.into_iter().map(Val::tuple).collect()))
}

fn permutations(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [size] = args.bind(["r"])?;
    let items = ops::iterate(cx, &base)?;
    let size = count(some(size).as_ref(), items.len())?;
    choose(&items, size, |picked, index| !picked.contains(&index))
}

fn combinations(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [size] = args.bind(["r"])?;
    let items = ops::iterate(cx, &base)?;
    let size = count(Some(&required(size, "r")?), 0)?;
    choose(&items, size, |picked, index| {
        picked.last().is_none_or(|last| *last < index)
    })
}

fn choose(items: &[Val], size: usize, allowed: impl Fn(&[usize], usize) -> bool) -> Res<Val> {
    let mut out = Vec::new();
    if size > items.len() {
        return Ok(Val::generator(out));
    }
    let mut stack: Vec<Vec<usize>> = vec![Vec::new()];
    while let Some(picked) = stack.pop() {
        if picked.len() == size {
            out.push(Val::tuple(
                picked.iter().map(|index| items[*index].clone()).collect(),
            ));
            continue;
        }
        if out.len() + stack.len() > COMBINED_MAX {
            return Err(too_many());
        }
        for index in (0..items.len())
            .rev()
            .filter(|index| allowed(&picked, *index))
        {
            let mut next = picked.clone();
            next.push(index);
            stack.push(next);
        }
    }
    Ok(Val::generator(out))
}

fn random(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [start, step, seed] = args.bind(["start", "step", "seed"])?;
    let mut source = crate::random::Random::new(cx, some(seed).as_ref())?;
    if let Some(end) = ops::integer(&base) {
        let start = int(start.as_ref(), 0)?;
        let step = int(step.as_ref(), 1)?;
        if step == 0 {
            bail!("zero step for randrange()");
        }
        let range = crate::value::Range {
            start,
            stop: end,
            step,
        };
        if range.len() == 0 {
            bail!("empty range for randrange()");
        }
        return Ok(range.at(source.below(range.len())));
    }
    if start.is_some() || step.is_some() {
        bail!("start and step can only be used with integer values");
    }
    let items = ops::iterate(cx, &base)?;
    if items.is_empty() {
        return Ok(Val::missing(
            Fail::undefined("No random item, sequence was empty."),
            None,
            crate::value::Near::Nothing,
        ));
    }
    let at = source.below(items.len());
    Ok(items[at].clone())
}

fn shuffle(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [seed] = args.bind(["seed"])?;
    let mut source = crate::random::Random::new(cx, some(seed).as_ref())?;
    let mut items = ops::iterate(cx, &base)?;
    for at in (1..items.len()).rev() {
        items.swap(at, source.below(at + 1));
    }
    Ok(Val::list(items))
}
