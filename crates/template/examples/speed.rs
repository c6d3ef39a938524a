//! How long the templates of a run take on one core: 200 hosts, 20 tasks, eight templated arguments and one
//! condition each, and a template file per host. `cargo run --release -p hostler-template --example speed`

#![expect(clippy::print_stdout, reason = "the numbers are the point")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use hostler_diag::SourceMap;
use hostler_template::{Engine, FileOptions, Scope, TemplateLoader, Var};
use hostler_value::{Map, Value};
use hostler_yaml::{Node, TemplateSource};

const VARS: &str = "
app: shop
base: /srv/{{ app }}
config: '{{ base }}/etc/{{ inventory_hostname }}.conf'
users: [{name: ann, uid: 1000, admin: true}, {name: bob, uid: 1001, admin: false}]
port: '{{ 8000 + index | int }}'
";

const TASK: &str = "
path: '{{ config }}'
owner: '{{ users[0].name }}'
mode: '0644'
port: '{{ port }}'
state: \"{{ 'present' if ansible_facts.os_family == 'Debian' else 'absent' }}\"
group: '{{ group | default(omit) }}'
line: 'listen {{ ansible_facts.default_ipv4.address }}:{{ port }}'
admins: \"{{ users | selectattr('admin') | map(attribute='name') | list }}\"
";

const FILE: &str = "server {
{% for user in users %}
  user {{ user.name }} {{ '%05d' % user.uid }}{{ ' admin' if user.admin }};
{% endfor %}
  listen {{ ansible_facts.default_ipv4.address }}:{{ port }};
}
";

struct Host {
    vars: Node,
    own: BTreeMap<String, Value>,
}

impl Scope for Host {
    fn get(&self, name: &str) -> Option<Var> {
        if let Some(value) = self.own.get(name) {
            return Some(Var::Data(value.clone()));
        }
        Some(Var::Written(self.vars.as_map()?.get(name)?.clone()))
    }
    fn names(&self) -> Vec<String> {
        self.own.keys().cloned().collect()
    }
}

struct NoFiles;

impl TemplateLoader for NoFiles {
    fn load(&self, _: &str) -> Result<Option<TemplateSource>, String> {
        Ok(None)
    }
}

fn facts(index: usize) -> Value {
    let mut facts: Map = (0..200)
        .map(|n| (format!("fact_{n}"), format!("value {n}")))
        .collect();
    facts.insert("os_family", "Debian");
    let address: Map = [("address", format!("10.0.0.{index}"))]
        .into_iter()
        .collect();
    facts.insert("default_ipv4", address);
    Value::from(facts)
}

fn main() {
    let sources = SourceMap::new();
    let load = |text: &str| {
        let id = sources.add_text("speed", text);
        hostler_yaml::load(&sources, id)
            .0
            .unwrap_or_else(|| std::process::abort())
    };
    let (vars, task) = (load(VARS), load(TASK));
    let condition = load("ansible_facts.os_family == 'Debian' and port | int > 80");
    let file = TemplateSource::whole(&sources, sources.add_text("nginx.conf.j2", FILE));
    let hosts: Vec<Arc<dyn Scope>> = (0..200)
        .map(|index| {
            let own = [
                (
                    "inventory_hostname".to_owned(),
                    Value::from(format!("web{index}")),
                ),
                ("index".to_owned(), Value::from(index)),
                ("ansible_facts".to_owned(), facts(index)),
            ];
            Arc::new(Host {
                vars: vars.clone(),
                own: own.into(),
            }) as Arc<dyn Scope>
        })
        .collect();

    let engine = Engine::new();
    let mut warnings = Vec::new();
    let mut failed = 0;
    let start = Instant::now();
    for _ in 0..20 {
        for host in &hosts {
            failed += usize::from(!matches!(
                engine.condition(&condition, host, &mut warnings),
                Ok(hostler_template::Truth::Known(true))
            ));
            failed += usize::from(engine.finalise(&task, host).is_err());
        }
    }
    let tasks = start.elapsed();
    let start = Instant::now();
    for host in &hosts {
        failed += usize::from(
            engine
                .render_file(&file, &FileOptions::default(), host, &NoFiles)
                .is_err(),
        );
    }
    let files = start.elapsed();
    println!(
        "200 hosts x 20 tasks: {tasks:?} ({:?} a task)",
        tasks / 4000
    );
    println!(
        "200 hosts x 1 template file: {files:?} ({:?} a file)",
        files / 200
    );
    println!("failures: {failed}");
}
