//! What all operations of the OpenAPI document have in common, added after the routes.
//!
//! Handlers describe their own data once, as JSON. The other forms, the headers, the errors of the
//! layers around them and the rule that what may be null is never missing are the same everywhere,
//! so they are written here and not in each handler.

use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::{AdditionalProperties, AnyOf, Array, ArrayItems, Components, Schema, SchemaType};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Content, Header, Object, ObjectBuilder, OpenApi as Document, Ref, RefOr, Required, Type};

use super::auth::{Need, need_of};
use super::problem::PROBLEM_JSON;

/// Headers of every answer of a view, whatever its form.
const VIEW_HEADERS: &[(&str, &str)] = &[
    ("ETag", "Strong validator of this form and coding"),
    ("Last-Modified", "The instant of the snapshot"),
    ("Cache-Control", "`max-age` runs to the next expected value or to staleness; `immutable` at permanent links"),
    ("Vary", "The request headers that choose the form and coding"),
    ("X-Stale", "`true` when a required input is past its cadence and grace"),
    ("X-Observed-Until", "End of the newest period with a value; absent where there is none"),
];

/// Headers of everything made from a snapshot.
const SNAPSHOT_HEADERS: &[(&str, &str)] = &[
    ("X-Simulated", "`true` when the values come from a simulated world"),
    ("X-Snapshot-Id", "Batch, and how many times the answer changed since by the passing of time"),
    ("X-Degraded", "`database` while the database is away and memory answers; absent otherwise"),
];

/// Headers of every answer, good or bad, of a path whose requests are counted.
const RATE_HEADERS: &[(&str, &str)] = &[
    ("RateLimit", "`r`: how many requests may come at once now; `t`: seconds until all of a burst may"),
    ("RateLimit-Policy", "`q` requests in `w` seconds"),
    ("X-RateLimit-Limit", "The largest burst"),
    ("X-RateLimit-Remaining", "The `r` of `RateLimit`"),
    ("X-RateLimit-Reset", "The `t` of `RateLimit`"),
];

const RETRY_AFTER: (&str, &str) = ("Retry-After", "Seconds to wait before the next attempt");
const REQUEST_ID_IS: &str = "Identifies the request in errors and logs";

const BEARER: &str = "bearer";
const API_KEY: &str = "api_key";

/// Completes a document whose paths are all there.
pub fn complete(document: &mut Document) {
    if let Some(components) = &mut document.components {
        for (name, schema) in &mut components.schemas {
            // All of these are missing unless `columns=all` asks for them.
            if name != "MoreColumns" {
                require_nullable(schema);
            }
        }
    }
    let components = document.components.get_or_insert_default();
    components.security_schemes.extend(security_schemes());
    for (path, item) in &mut document.paths.paths {
        let Some(operation) = operation_of(item) else { continue };
        complete_operation(operation, components);
        if let Need::Key(_) = need_of(path) {
            describe_guard(operation);
        }
    }
}

fn security_schemes() -> [(String, RefOr<SecurityScheme>); 2] {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A key of this installation"));
    let header = ApiKeyValue::with_description("X-API-Key", "The same key in a header of its own");
    [
        (BEARER.to_owned(), RefOr::T(SecurityScheme::Http(bearer.build()))),
        (API_KEY.to_owned(), RefOr::T(SecurityScheme::ApiKey(ApiKey::Header(header)))),
    ]
}

/// What the guard asks and adds: a key, unless the listener is on loopback, and an allowance.
fn describe_guard(operation: &mut Operation) {
    let with = |scheme: &str| SecurityRequirement::new(scheme, [""; 0]);
    operation.security = Some(vec![SecurityRequirement::default(), with(BEARER), with(API_KEY)]);
    let challenge = ("WWW-Authenticate", "`Bearer`");
    add_problem(operation, "401", "No key where one is needed, or one that is not taken", Some(challenge));
    add_problem(operation, "403", "The key lacks the scope", None);
    add_problem(operation, "429", "The allowance is used up, or too many keys were not taken", Some(RETRY_AFTER));
    for response in operation.responses.responses.values_mut() {
        let RefOr::T(response) = response else { continue };
        for (name, what) in RATE_HEADERS {
            put_header(response, name, what);
        }
    }
}

/// Adds an error of the layers; a path that has the status itself keeps its own words for it.
fn add_problem(operation: &mut Operation, status: &str, what: &str, header: Option<(&str, &str)>) {
    let responses = &mut operation.responses.responses;
    let response = responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(Response::new(what)));
    let RefOr::T(response) = response else { return };
    let problem = || RefOr::T(Content::new(Some(Ref::from_schema_name("Problem"))));
    response.content.entry(PROBLEM_JSON.to_owned()).or_insert_with(problem);
    put_header(response, "X-Request-Id", REQUEST_ID_IS);
    if let Some((name, what)) = header {
        put_header(response, name, what);
    }
}

fn operation_of(item: &mut PathItem) -> Option<&mut Operation> {
    item.get.as_mut()
}

fn complete_operation(operation: &mut Operation, components: &Components) {
    let mut names = Vec::new();
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter {
            allow_empty(parameter);
            names.push(parameter.name.clone());
        }
    }
    let takes = |name: &str| names.iter().any(|given| given == name);
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        put_header(response, "X-Request-Id", REQUEST_ID_IS);
        if matches!(status.as_str(), "200" | "304") && takes("as_of") {
            for (name, what) in VIEW_HEADERS {
                put_header(response, name, what);
            }
        }
        if matches!(status.as_str(), "200" | "304") && (takes("as_of") || takes("flat")) {
            for (name, what) in SNAPSHOT_HEADERS {
                put_header(response, name, what);
            }
        }
        if status == "200" && takes("limit") {
            put_header(response, "Link", "`rel=\"next\"`: the next page; absent on the last");
        }
        if status == "200" && takes("flat") {
            add_forms(response, components);
        }
        if status == "200" && takes("width") {
            let text = ObjectBuilder::new().schema_type(Type::String);
            response.content.insert("image/svg+xml".to_owned(), RefOr::T(Content::new(Some(text))));
        }
    }
    add_problem(operation, "413", "A body of more than 2 MB", None);
    add_problem(operation, "500", "A fault of the server", None);
    add_problem(operation, "503", "No answer in time", Some(RETRY_AFTER));
}

/// An optional parameter without a value counts as absent. The type of the parameter has no place
/// for the keyword, but its extensions are written beside the other keywords.
fn allow_empty(parameter: &mut Parameter) {
    if parameter.parameter_in == ParameterIn::Query && parameter.required == Required::False {
        parameter.extensions = Some(Extensions::from_iter([("allowEmptyValue", true)]));
    }
}

fn put_header(response: &mut Response, name: &str, what: &str) {
    let mut header = Header::new(ObjectBuilder::new().schema_type(Type::String));
    header.description = Some(what.to_owned());
    response.headers.insert(name.to_owned(), RefOr::T(header));
}

/// Adds CSV and NDJSON, and the bare array of `flat=true`, to an answer described as an envelope.
fn add_forms(response: &mut Response, components: &Components) {
    let Some(RefOr::T(json)) = response.content.get_mut("application/json") else { return };
    let Some(envelope) = json.schema.take() else { return };
    let flat = flat_of(&envelope, components);
    json.schema = Some(RefOr::T(Schema::AnyOf(AnyOf { items: vec![envelope, flat], ..AnyOf::default() })));
    for media_type in ["text/csv", "application/x-ndjson"] {
        let text = ObjectBuilder::new().schema_type(Type::String);
        response.content.insert(media_type.to_owned(), RefOr::T(Content::new(Some(text))));
    }
}

/// The rows of a list as they are in its envelope; of an object or a map, rows of scalars.
fn flat_of(envelope: &RefOr<Schema>, components: &Components) -> RefOr<Schema> {
    let envelope = match envelope {
        RefOr::Ref(reference) => {
            let name = reference.ref_location.rsplit('/').next().unwrap_or_default();
            components.schemas.get(name)
        }
        RefOr::T(_) => Some(envelope),
    };
    if let Some(RefOr::T(Schema::Object(envelope))) = envelope
        && let Some(data @ RefOr::T(Schema::Array(_))) = envelope.properties.get("data")
    {
        return data.clone();
    }
    let scalar = SchemaType::from_iter([Type::String, Type::Number, Type::Boolean, Type::Null]);
    let scalar = ObjectBuilder::new().schema_type(scalar).build();
    let row = ObjectBuilder::new()
        .additional_properties(Some(AdditionalProperties::RefOr(RefOr::T(Schema::Object(scalar)))))
        .description(Some("The scalars of `data`, or of one entry of it, as one row"));
    Array::new(row).into()
}

/// Requires every property that may be null: what is unknown is null, never missing.
fn require_nullable(schema: &mut RefOr<Schema>) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Object(object) => require_nullable_of(object),
        Schema::Array(array) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                require_nullable(items);
            }
        }
        Schema::OneOf(one) => one.items.iter_mut().for_each(require_nullable),
        Schema::AllOf(all) => all.items.iter_mut().for_each(require_nullable),
        Schema::AnyOf(any) => any.items.iter_mut().for_each(require_nullable),
        _ => {}
    }
}

fn require_nullable_of(object: &mut Object) {
    for (name, property) in &mut object.properties {
        if may_be_null(property) && !object.required.contains(name) {
            object.required.push(name.clone());
        }
        require_nullable(property);
    }
    if let Some(AdditionalProperties::RefOr(values)) = object.additional_properties.as_deref_mut() {
        require_nullable(values);
    }
}

fn may_be_null(schema: &RefOr<Schema>) -> bool {
    match schema {
        RefOr::T(Schema::Object(object)) => match &object.schema_type {
            SchemaType::Type(kind) => *kind == Type::Null,
            SchemaType::Array(kinds) => kinds.contains(&Type::Null),
            SchemaType::AnyValue => false,
        },
        RefOr::T(Schema::Array(array)) => {
            matches!(&array.schema_type, SchemaType::Array(kinds) if kinds.contains(&Type::Null))
        }
        RefOr::T(Schema::OneOf(one)) => one.items.iter().any(may_be_null),
        _ => false,
    }
}
