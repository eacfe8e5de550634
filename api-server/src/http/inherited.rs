//! What every operation of the document inherits. It is done once, in the layers and extractors around the handlers, so it is said once:
//! a handler's attributes name only the answers of its own.

use super::{etag, idempotency, problem};
use utoipa::{
    ToSchema as _,
    openapi::{
        Components, Content, Header, HeaderBuilder, Object, OpenApi, PathItem, Ref, RefOr, Response,
        ResponseBuilder, Schema, Type,
        path::{Operation, Parameter, ParameterIn},
        schema::{ArrayItems, KnownFormat, ObjectBuilder, OneOf, SchemaFormat, SchemaType},
    },
};

/// What a header has that is read as text.
pub const HEADER_TEXT: &str = r"^[\t -~]*$";

/// It reads a body.
fn reads_body(_: &str, operation: &Operation) -> bool {
    operation.request_body.is_some()
}

/// It reads a body, its query or a header of its own.
fn reads_anything(path: &str, operation: &Operation) -> bool {
    reads_body(path, operation) || parameters(operation).any(|one| one.parameter_in != ParameterIn::Path)
}

/// It asks who it is.
fn is_guarded(_: &str, operation: &Operation) -> bool {
    operation.security.as_ref().is_some_and(|schemes| !schemes.is_empty())
}

/// It asks for an administrator.
fn is_for_administrators(path: &str, _: &Operation) -> bool {
    path.starts_with("/api/v1/admin/")
}

/// Its calls are counted: those of a user, those with which anybody can change something, and those for the catalogue.
fn is_counted(path: &str, operation: &Operation) -> bool {
    is_guarded(path, operation) || reads_body(path, operation) || path.starts_with("/api/v1/catalog/")
}

fn takes_key(operation: &Operation) -> bool {
    parameters(operation).any(|one| one.name.eq_ignore_ascii_case(idempotency::KEY.as_str()))
}

fn parameters(operation: &Operation) -> impl Iterator<Item = &Parameter> {
    operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    })
}

/// An answer that is given around the handlers.
struct Answer {
    status: &'static str,
    name: &'static str,
    description: &'static str,
    is_of: fn(&str, &Operation) -> bool,
}

const ANSWERS: [Answer; 10] = [
    Answer {
        status: "400",
        name: "Malformed",
        description: "The request can't be read, or names what is not known here.",
        is_of: reads_anything,
    },
    Answer {
        status: "401",
        name: "Unauthenticated",
        description: "Not logged in, or not any more.",
        is_of: is_guarded,
    },
    Answer {
        status: "403",
        name: "Forbidden",
        description: "Not an administrator.",
        is_of: is_for_administrators,
    },
    Answer {
        status: "409",
        name: "InFlight",
        description: "The first request with this key is still under way.",
        is_of: |_, operation| takes_key(operation),
    },
    Answer { status: "413", name: "TooLarge", description: "The body is too large.", is_of: reads_body },
    Answer {
        status: "415",
        name: "MediaType",
        description: "The body is not `application/json`.",
        is_of: reads_body,
    },
    Answer {
        status: "422",
        name: "Invalid",
        description: "Values can't be accepted; `errors` names each.",
        is_of: reads_body,
    },
    Answer {
        status: "429",
        name: "RateLimited",
        description: "Too many requests. `Retry-After` says when to come again.",
        is_of: is_counted,
    },
    Answer {
        status: "500",
        name: "Internal",
        description: "Something went wrong on our side. The log has it under the request's id.",
        is_of: |_, _| true,
    },
    Answer {
        status: "503",
        name: "Unavailable",
        description: "Something that is needed is away or busy, or it took too long.",
        is_of: |_, _| true,
    },
];

/// Headers that layers set: the name, that of its component, and what it says.
const HEADERS: [(&str, &str, &str); 7] = [
    ("X-Request-Id", "RequestId", "The request's id: the sender's, or ours. The log has it."),
    ("RateLimit-Limit", "RateLimitLimit", "Requests in a period."),
    ("RateLimit-Remaining", "RateLimitRemaining", "How many of them are left."),
    ("RateLimit-Reset", "RateLimitReset", "In how many seconds all of them are there again."),
    ("Retry-After", "RetryAfter", "In how many seconds to come again."),
    ("WWW-Authenticate", "WwwAuthenticate", "How to say who one is."),
    ("Idempotency-Replayed", "IdempotencyReplayed", "`true` where the answer is one given before."),
];

/// Writes it all into the document.
pub fn complete(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            operation.operation_id = Some(id(method, path));
            // Said aloud where it is nobody's.
            operation.security.get_or_insert_default();
            operation.parameters.iter_mut().flatten().for_each(parameter);
            body(operation);
            answers(path, operation);
        }
    }
    let components = document.components.get_or_insert_default();
    name_rows(components);
    components
        .headers
        .extend(HEADERS.map(|(name, component, says)| (component.to_owned(), header(name, says).into())));
    for answer in &ANSWERS {
        let mut response = problem(answer.description);
        // Not all that give it are counted; the headers are there where they are.
        headers(answer.status, true, false, &mut response);
        components.responses.insert(answer.name.to_owned(), response.into());
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let PathItem { get, put, post, patch, delete, .. } = item;
    [("get", get), ("put", put), ("post", post), ("patch", patch), ("delete", delete)]
        .into_iter()
        .filter_map(|(method, operation)| operation.as_mut().map(|operation| (method, operation)))
}

/// The operation's id, by which generated clients name it. Handlers in two files may have one name; a method and path are one operation.
fn id(method: &str, path: &str) -> String {
    let words = path.trim_start_matches("/api/v1").split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| !word.is_empty()).fold(method.to_owned(), |id, word| format!("{id}_{word}"))
}

/// Says of a parameter what its extractor knows of it.
fn parameter(parameter: &mut RefOr<Parameter>) {
    let RefOr::T(Parameter { name, description, schema: Some(RefOr::T(Schema::Object(schema))), .. }) =
        parameter
    else {
        return;
    };
    match name.as_str() {
        "If-Match" => *schema = etag::IfMatch::schema(),
        "Idempotency-Key" => {
            *schema = idempotency::Key::schema();
            description.get_or_insert_with(|| idempotency::SAYS.to_owned());
        }
        _ => {}
    }
    // What is optional in a query or header is left out; there is no null to send.
    if let SchemaType::Array(types) = &mut schema.schema_type {
        types.retain(|one| *one != Type::Null);
        if let [one] = types.as_slice() {
            schema.schema_type = SchemaType::Type(one.clone());
        }
    }
}

/// A body that is optional is left out, too.
fn body(operation: &mut Operation) {
    let is_null = |one: &RefOr<Schema>| matches!(one, RefOr::T(Schema::Object(one)) if one.schema_type == SchemaType::Type(Type::Null));
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    for content in body.content.values_mut() {
        let RefOr::T(content) = content else { continue };
        let Some(RefOr::T(Schema::OneOf(OneOf { items, .. }))) = &mut content.schema else { continue };
        items.retain(|one| !is_null(one));
        if let [one] = items.as_slice() {
            content.schema = Some(one.clone());
        }
    }
}

fn answers(path: &str, operation: &mut Operation) {
    let inherited = ANSWERS.iter().filter(|answer| (answer.is_of)(path, operation)).collect::<Vec<_>>();
    let (is_counted, takes_key) = (is_counted(path, operation), takes_key(operation));
    let all = &mut operation.responses.responses;
    for (status, response) in all.iter_mut() {
        let RefOr::T(response) = response else { continue };
        if response.description.is_empty() {
            "As asked.".clone_into(&mut response.description);
        }
        headers(status, is_counted, takes_key, response);
    }
    for answer in inherited {
        // What the handler says of it itself is more than this.
        all.entry(answer.status.to_owned())
            .or_insert_with(|| RefOr::Ref(Ref::from_response_name(answer.name)));
    }
}

fn headers(status: &str, is_counted: bool, takes_key: bool, response: &mut Response) {
    let is_set = |name: &str| match name {
        "X-Request-Id" => true,
        "Retry-After" => matches!(status, "429" | "503"),
        "WWW-Authenticate" => status == "401",
        "Idempotency-Replayed" => takes_key && status.starts_with('2'),
        _ => is_counted,
    };
    for (name, component, _) in HEADERS.iter().filter(|(name, ..)| is_set(name)) {
        let reference = Ref::new(format!("#/components/headers/{component}"));
        response.headers.insert((*name).to_owned(), RefOr::Ref(reference));
    }
}

fn header(name: &str, says: &str) -> Header {
    let schema = match name {
        "X-Request-Id" => {
            ObjectBuilder::new().schema_type(Type::String).min_length(Some(8)).max_length(Some(64))
        }
        "WWW-Authenticate" => ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["Bearer"])),
        "Idempotency-Replayed" => ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["true"])),
        _ => ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(0)),
    };
    HeaderBuilder::new().schema(Some(schema)).description(Some(says)).build()
}

fn problem(description: &str) -> Response {
    let body = Content::new(Some(Ref::from_schema_name(problem::Body::name())));
    ResponseBuilder::new().description(description).content(problem::MEDIA_TYPE, body).build()
}

/// Names what a page holds. Of a generic type, utoipa writes the whole schema of what it holds once more.
fn name_rows(components: &mut Components) {
    let known: Vec<String> = components.schemas.keys().cloned().collect();
    for (name, schema) in &mut components.schemas {
        let row = name.strip_prefix("Page_").filter(|row| known.iter().any(|known| known == row));
        if let (Some(row), RefOr::T(Schema::Object(Object { properties, .. }))) = (row, schema)
            && let Some(RefOr::T(Schema::Array(rows))) = properties.get_mut("items")
        {
            rows.items = ArrayItems::RefOrSchema(Box::new(RefOr::Ref(Ref::from_schema_name(row))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_named_by_its_method_and_path() {
        assert_eq!(id("get", "/api/v1/me"), "get_me");
        assert_eq!(id("post", "/api/v1/admin/users/{id}/deactivate"), "post_admin_users_id_deactivate");
        assert_eq!(id("get", "/api/v1/.well-known/jwks.json"), "get_well_known_jwks_json");
        assert_eq!(id("get", "/healthz"), "get_healthz");
    }
}
