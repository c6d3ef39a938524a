//! Instant queries to Prometheus (its HTTP API, `/api/v1/query`).

use serde_json::Value;

use super::{red, shown};
use crate::drive::GateAnswer;

/// Where the query is asked.
pub(super) fn address(server: &str, query: &str) -> Result<String, String> {
    if !(server.starts_with("http://") || server.starts_with("https://")) {
        return Err("the server's address begins with neither http:// nor https://".to_owned());
    }
    if server.contains(['?', '#']) {
        return Err("the server's address is more than an address and a path".to_owned());
    }
    let mut encoded = String::new();
    for byte in query.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => {
                use std::fmt::Write as _;
                // Writing to a String cannot fail.
                let _ = write!(encoded, "%{other:02X}");
            }
        }
    }
    Ok(format!(
        "{}/api/v1/query?query={encoded}",
        server.trim_end_matches('/')
    ))
}

/// Yes if the result is empty, or no value is above the limit.
pub(super) fn judge(status: u16, body: &[u8], at_most: Option<f64>) -> GateAnswer {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return red(&format!("HTTP status {status}, and no JSON"));
    };
    let word = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
    if word("status") != "success" || status != 200 {
        let (kind, message) = (word("errorType"), word("error"));
        return red(&format!("HTTP status {status}: {kind}: {message}"));
    }
    let data = answer.get("data").unwrap_or(&Value::Null);
    let result = data.get("result").unwrap_or(&Value::Null);
    let series: Vec<(String, Option<f64>)> =
        match (data.get("resultType").and_then(Value::as_str), result) {
            (Some("vector"), Value::Array(list)) => {
                let read = |it: &Value| (labels(it.get("metric")), figure(it.get("value")));
                list.iter().map(read).collect()
            }
            (Some("scalar"), it) => vec![("it".to_owned(), figure(Some(it)))],
            (kind, _) => {
                return red(&format!(
                    "a result of type {} is no answer",
                    kind.unwrap_or("none")
                ));
            }
        };
    let count = series.len();
    let Some(limit) = at_most else {
        return match series.first() {
            None => GateAnswer {
                green: true,
                evidence: "the result is empty".to_owned(),
            },
            Some((name, _)) => red(&format!(
                "the result should be empty and has {count}: {name}"
            )),
        };
    };
    // A figure that is no number is not below anything.
    let above = series
        .iter()
        .find(|(_, it)| !it.is_some_and(|it| it <= limit));
    match above {
        Some((name, Some(figure))) => red(&format!("{name} is {figure}, {limit} at most")),
        Some((name, None)) => red(&format!("{name} is no figure")),
        None => GateAnswer {
            green: true,
            evidence: format!("{count} of {count} are at most {limit}"),
        },
    }
}

/// `[1435781451.781, "1"]`.
fn figure(value: Option<&Value>) -> Option<f64> {
    let text = value?.as_array()?.get(1)?.as_str()?;
    match text {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        text => text.parse().ok(),
    }
}

fn labels(metric: Option<&Value>) -> String {
    let Some(Value::Object(all)) = metric else {
        return "a series".to_owned();
    };
    let pairs = all
        .iter()
        .take(8)
        .filter_map(|(name, value)| Some(format!("{name}={}", value.as_str()?)));
    let text = pairs.collect::<Vec<_>>().join(",");
    shown(&if text.is_empty() {
        "a series".to_owned()
    } else {
        format!("{{{text}}}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(body: &str, at_most: Option<f64>) -> (bool, String) {
        let answer = judge(200, body.as_bytes(), at_most);
        (answer.green, answer.evidence)
    }

    fn vector(values: &[&str]) -> String {
        let series: Vec<String> = values
            .iter()
            .map(|it| format!(r#"{{"metric":{{"alertname":"Down","job":"web"}},"value":[1435781451.781,"{it}"]}}"#))
            .collect();
        format!(
            r#"{{"status":"success","data":{{"resultType":"vector","result":[{}]}}}}"#,
            series.join(",")
        )
    }

    #[test]
    fn empty_is_green() {
        assert!(ask(&vector(&[]), None).0);
        assert!(ask(&vector(&[]), Some(0.0)).0);
        assert_eq!(
            ask(&vector(&["1", "1"]), None),
            (
                false,
                "the result should be empty and has 2: {alertname=Down,job=web}".to_owned()
            )
        );
    }

    #[test]
    fn figures_are_compared() {
        assert!(ask(&vector(&["0.01", "5e-3"]), Some(0.01)).0);
        assert_eq!(
            ask(&vector(&["0", "0.02"]), Some(0.01)),
            (
                false,
                "{alertname=Down,job=web} is 0.02, 0.01 at most".to_owned()
            )
        );
        assert!(
            !ask(&vector(&["NaN"]), Some(1e9)).0,
            "no number is not below anything"
        );
        assert!(!ask(&vector(&["+Inf"]), Some(1e9)).0);
        assert!(ask(&vector(&["-Inf"]), Some(0.0)).0);
        assert!(!ask(&vector(&["one"]), Some(0.0)).0);
        let scalar =
            r#"{"status":"success","data":{"resultType":"scalar","result":[1435781451.781,"3"]}}"#;
        assert!(ask(scalar, Some(3.0)).0);
        assert!(!ask(scalar, None).0, "a scalar is never empty");
    }

    #[test]
    fn what_is_no_answer_is_red() {
        let long = "x".repeat(5000);
        let bodies = [
            "",
            "<html>gateway</html>",
            "[]",
            "{}",
            r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#,
            r#"{"status":"success"}"#,
            r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#,
            r#"{"status":"success","data":{"resultType":"vector","result":{}}}"#,
            r#"{"status":"success","data":{"resultType":"vector","result":[{}]}}"#,
            long.as_str(),
        ];
        for body in bodies {
            let (green, evidence) = ask(body, Some(1.0));
            assert!(!green, "{body}");
            assert!(evidence.chars().count() <= 300);
        }
        assert!(!judge(503, vector(&[]).as_bytes(), None).green);
    }

    #[test]
    fn queries_are_encoded() {
        assert_eq!(
            address("http://p:9090/", "up{job=\"ä\"} == 0").expect("an address"),
            "http://p:9090/api/v1/query?query=up%7Bjob%3D%22%C3%A4%22%7D%20%3D%3D%200"
        );
        for bad in ["p:9090", "file:///etc/passwd", "http://p/?x="] {
            assert!(address(bad, "up").is_err(), "{bad}");
        }
    }
}
