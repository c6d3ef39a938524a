//! Is a host there? Asked apart from any task, by a login that shares nothing with earlier ones.

use std::sync::Arc;

use hostler_events::Unreachable;
use hostler_template::{Scope, Var};
use hostler_value::{Map, Value};
use hostler_vars::PlayLayer;

use crate::context::RunContext;
use crate::failure::Failure;
use crate::fleet::{ConnectKeywords, Route, route_of};

impl RunContext {
    /// Logs in anew and starts an agent; later tasks go on over this connection. Gives the host's boot id, as its agent
    /// says it: hostile text, perhaps empty.
    ///
    /// # Errors
    /// It could not be reached, or its connection variables cannot be evaluated.
    pub async fn probe(&self, host: &str) -> Result<String, Unreachable> {
        let route = self.route(host).map_err(|failure| Unreachable {
            reason: "variables".to_owned(),
            detail: match failure {
                Failure::Failed(failed) => failed.msg,
                _ => "a variable that says how to reach it is not known".to_owned(),
            },
        })?;
        let link = self.fleet.link(&route);
        self.fleet.reset(&link).await;
        let session = self.fleet.session(&link).await;
        let session = session.map_err(|lost| Unreachable {
            reason: lost.reason.code().to_owned(),
            detail: lost.detail,
        })?;
        Ok(session.session.hello().boot_id.clone())
    }

    /// How a host is reached, without the keywords of any task.
    fn route(&self, host: &str) -> Result<Route, Failure> {
        let layer = Arc::new(PlayLayer::default());
        let scope: Arc<dyn Scope> = self.vars.scope(host, &layer, &[], Map::new());
        let variable = |name: &str| -> Result<Option<Value>, Failure> {
            match scope.get(name) {
                None | Some(Var::Nested(_)) => Ok(None),
                Some(Var::Data(value)) => Ok(Some(value)),
                Some(Var::Written(node)) => {
                    let value = self.engine.finalise(&node, &scope);
                    value
                        .map(Some)
                        .map_err(|error| Failure::template(&error, &self.sources))
                }
            }
        };
        route_of(
            host,
            &variable,
            &ConnectKeywords::default(),
            &self.settings.connect,
        )
    }
}
