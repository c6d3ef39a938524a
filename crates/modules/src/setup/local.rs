//! Local facts: `/etc/ansible/facts.d/*.fact`.

use std::path::Path;

use hostler_module_api::prelude::*;

use super::Seen;

/// A fact is small; more is a mistake.
const FACT_MAX: u64 = 1 << 20;

pub(super) fn facts(host: &dyn Inspect, dir: &str, timeout_s: u64, seen: &mut Seen) {
    let mut local = Map::new();
    for file in hostler_probes::names(host, dir).iter().filter(|it| !it.starts_with('.')) {
        let Some(name) = file.strip_suffix(".fact") else { continue };
        let path = Path::new(dir).join(file);
        let fact = read(host, &path, timeout_s).and_then(|text| parse(&text, &path));
        let fact = fact.unwrap_or_else(|problem| {
            seen.warnings.push(problem.clone());
            Value::from(problem)
        });
        local.insert(name, fact);
    }
    seen.facts.insert("local", local);
}

fn read(host: &dyn Inspect, path: &Path, timeout_s: u64) -> Result<String, String> {
    let shown = path.display();
    let stat = host.stat(path, Follow::Yes).ok().flatten();
    let stat = stat.ok_or_else(|| format!("Could not stat fact ({shown})"))?;
    let bytes = if stat.perm() & 0o100 == 0 {
        let bytes = host.read(path, FACT_MAX).map_err(|error| error.to_string())?;
        bytes.unwrap_or_default()
    } else {
        let mut program = Program::new([path.display().to_string()]);
        program.timeout_s = Some(timeout_s.max(1));
        let output = host.look(&program).map_err(|error| format!("Could not execute fact script ({shown}): {error}"))?;
        if !output.success() {
            let (rc, err) = (output.rc, output.stderr_text());
            return Err(format!("Failure executing fact script ({shown}), rc: {rc}, err: {err}"));
        }
        output.stdout
    };
    String::from_utf8(bytes).map_err(|_| format!("error loading fact - output of running \"{shown}\" was not utf-8"))
}

fn parse(text: &str, path: &Path) -> Result<Value, String> {
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        return Ok(value);
    }
    ini(text).map(Value::from).ok_or_else(|| {
        format!("error loading facts as JSON or ini - please check content: {}", path.display())
    })
}

/// What Python's `configparser` reads, without its interpolation: sections of `key = value` or `key: value`, names in
/// lower case, indented lines that continue a value, `[DEFAULT]` in each section. `None` if it is not that.
fn ini(text: &str) -> Option<Map> {
    let mut sections: Vec<(String, Vec<(String, String)>)> = Vec::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with([' ', '\t'])
            && let Some((_, value)) = sections.last_mut().and_then(|it| it.1.last_mut())
        {
            value.push('\n');
            value.push_str(trimmed);
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[').and_then(|it| it.split_once(']')) {
            sections.push((name.0.to_owned(), Vec::new()));
            continue;
        }
        let (key, value) = trimmed.split_once(['=', ':'])?;
        let (key, value) = (key.trim().to_lowercase(), value.trim().to_owned());
        sections.last_mut()?.1.push((key, value));
    }
    let defaults = sections.iter().find(|it| it.0 == "DEFAULT").map(|it| it.1.clone()).unwrap_or_default();
    let with_defaults = |pairs: Vec<(String, String)>| pairs.into_iter().chain(defaults.iter().cloned());
    let mut map = Map::new();
    for (name, pairs) in sections.into_iter().filter(|it| it.0 != "DEFAULT") {
        let mut section = Map::new();
        for (key, value) in with_defaults(pairs) {
            if !section.contains(&key) {
                section.insert(key, value);
            }
        }
        map.insert(name, section);
    }
    Some(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    #[test]
    fn json_ini_scripts_and_nonsense() {
        let dir = "/etc/ansible/facts.d";
        let host = FakeHost::bare()
            .dir(dir, 0o755)
            .file("/etc/ansible/facts.d/a.fact", "{\"x\": [1]}")
            .file("/etc/ansible/facts.d/b.fact", "[DEFAULT]\nz=9\n[General]\nKey = v\n  more\n; c\n")
            .file("/etc/ansible/facts.d/c.fact", "nonsense")
            .file("/etc/ansible/facts.d/d.fact", "#!/bin/sh")
            .attrs("/etc/ansible/facts.d/d.fact", 0, 0, 0o755)
            .file("/etc/ansible/facts.d/README", "")
            .answers("/etc/ansible/facts.d/d.fact", 0, "{\"ran\": true}");
        let mut seen = Seen { facts: Map::new(), warnings: Vec::new() };
        facts(&host, dir, 5, &mut seen);
        let local = seen.facts.get("local").unwrap();
        assert_eq!(local.get("a").unwrap().get("x"), Some(&Value::list([1.into()])));
        let general = local.get("b").unwrap().get("General").unwrap();
        assert_eq!((general.get("key"), general.get("z")), (Some(&Value::str("v\nmore")), Some(&Value::str("9"))));
        assert_eq!(local.get("d").unwrap().get("ran"), Some(&Value::Bool(true)));
        assert_eq!(seen.warnings.len(), 1);
        assert_eq!(local.as_map().unwrap().len(), 4);
    }
}
