//! Every route, and the document that describes them.

use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::answer::ApiState;
use super::problem::{Code, Problem};
use super::server::{ServerLimits, with_middleware};
use super::{health, openapi, pages, v1};

/// The whole service as it is put on a socket: the routes within the layers of [`super::server`].
pub fn application(state: ApiState, limits: &ServerLimits) -> Router {
    let guard = Arc::clone(&state.guard);
    with_middleware(router(state), guard, limits)
}

/// The routes with their state, without the layers around them.
fn router(state: ApiState) -> Router {
    let (documented, document) = documented();
    let console = SwaggerUi::new("/docs")
        .url("/openapi.json", openapi::finish(document))
        // The validator is a foreign host.
        .config(Config::default().validator_url("none"));
    documented
        .route("/", get(pages::overview::index))
        .route("/miners", get(pages::miners::index))
        .route("/miners/{ticker}", get(pages::miners::miner))
        .route("/assets/{name}", get(pages::assets::asset))
        .route("/docs/metrics", get(pages::metric::index))
        .route("/docs/metrics.md", get(pages::agents::metrics_text))
        .route("/docs/metrics/{metric}", get(pages::metric::metric))
        .route("/docs/errors/{code}", get(pages::error))
        .route("/llms.txt", get(pages::agents::overview))
        .with_state(state)
        .merge(console)
        .fallback(unknown_route)
}

/// The OpenAPI document of the router.
#[must_use]
pub fn document() -> Document {
    openapi::finish(documented().1)
}

fn documented() -> (Router<ApiState>, Document) {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(v1::series::list_series))
        .routes(routes!(v1::series::read_series))
        .routes(routes!(v1::latest::read_latest))
        .routes(routes!(v1::latest::read_latest_text))
        .routes(routes!(v1::panel::read_panel))
        .routes(routes!(v1::hashprice::read_hashprice))
        .routes(routes!(v1::squeeze::read_squeeze))
        .routes(routes!(v1::breakeven::read_breakeven))
        .routes(routes!(v1::difficulty::read_difficulty))
        .routes(routes!(v1::difficulty::list_difficulty_epochs))
        .routes(routes!(v1::hash_ribbons::read_hash_ribbons))
        .routes(routes!(v1::hash_ribbons::list_hash_ribbon_events))
        .routes(routes!(v1::flows::read_flows))
        .routes(routes!(v1::flows::list_flow_spikes))
        .routes(routes!(v1::pools::list_pools))
        .routes(routes!(v1::credit::miners::list_miners))
        .routes(routes!(v1::credit::diff::diff_miners))
        .routes(routes!(v1::credit::miners::read_miner))
        .routes(routes!(v1::credit::miners::list_debt))
        .routes(routes!(v1::credit::miners::list_fundamentals))
        .routes(routes!(v1::credit::miners::read_revenue_mix))
        .routes(routes!(v1::credit::miners::list_sites))
        .routes(routes!(v1::credit::calendar::list_debt_calendar))
        .routes(routes!(v1::credit::debt::read_wall))
        .routes(routes!(v1::credit::debt::list_converts))
        .routes(routes!(v1::credit::industry::read_industry))
        .routes(routes!(v1::credit::calendar::list_calendar))
        .routes(routes!(v1::status::read_status))
        .routes(routes!(v1::sources::list_sources))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
        .split_for_parts()
}

async fn unknown_route() -> Response {
    Problem::new(Code::UnknownRoute, "Nothing is served here; /openapi.json lists every path.").into_response()
}
