//! The document of the API says what the API does: it names every route and no other, what it allows is read, what it does
//! not name is refused, and answers are those that it tells of.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::schema::Schemas;
use super::*;
use crate::api::ErrorCode;
use crate::gateway::node::front_page::REFERENCE;
use crate::gateway::openapi::api_route::{ApiRoute, JSON};
use crate::gateway::openapi::document;
use crate::gateway::{Limits, routes};

/// The routes of a gateway with the usual limits, and their document.
static TABLE: LazyLock<(Vec<ApiRoute>, Value)> = LazyLock::new(|| {
    let limits = Limits::default();
    let described = routes(&fake::state_within(limits.clone()).0).described().to_vec();
    let document = document(&described, &limits);
    (described, document)
});

fn schemas() -> Schemas<'static> {
    Schemas(&TABLE.1)
}

fn operation(route: &ApiRoute) -> &'static Value {
    &TABLE.1["paths"][route.path][route.method.as_str().to_lowercase()]
}

/// The route that takes such a request.
fn route_of(method: &str, path: &str) -> Option<&'static ApiRoute> {
    let path = path.split('?').next().unwrap_or_default();
    let fits = |route: &&ApiRoute| {
        let (wanted, given) = (route.path.split('/'), path.split('/'));
        route.method == method
            && wanted.clone().count() == given.clone().count()
            && wanted.zip(given).all(|(wanted, given)| wanted == given || wanted.starts_with('{') && !given.is_empty())
    };
    // `/collections/{name}` stands beside no path that it would fit as well.
    TABLE.0.iter().find(fits)
}

fn body_schema(route: &ApiRoute) -> Option<&'static Value> {
    operation(route)["requestBody"]["content"].get(JSON).map(|content| &content["schema"])
}

/// Fails unless an answer is one that the document tells of. Of paths that it does not name it says nothing.
pub fn check_answer(method: &str, path: &str, status: StatusCode, body: &Value) {
    let Some(route) = route_of(method, path) else { return };
    let responses = &operation(route)["responses"];
    let range = format!("{}XX", status.as_u16() / 100);
    let told = responses.get(status.as_str()).or_else(|| responses.get(&range));
    let told = told.unwrap_or_else(|| panic!("{method} {path} answers {status}, of which the document does not tell"));
    let told = schemas().resolve(told);
    if let Some(content) = told["content"].get(JSON) {
        let fault = schemas().fault(&content["schema"], body);
        assert_eq!(fault, None, "{method} {path} answers {status}: {body}");
    }
}

/// Fails unless the document allows a body that was taken.
pub fn check_taken(method: &str, path: &str, body: &str) {
    let Some(schema) = route_of(method, path).and_then(body_schema) else { return };
    let body: Value = serde_json::from_str(body).expect("what was taken is JSON");
    assert_eq!(schemas().fault(schema, &body), None, "{method} {path} takes {body}");
}

#[tokio::test]
async fn it_tells_of_every_route_and_of_no_other() {
    let (router, _) = docs().await;
    let told = get(&router, "/openapi.json").await.ok().body;
    assert_eq!(told["openapi"], "3.1.0");
    let operations = told["paths"].as_object().unwrap().iter();
    let told: BTreeSet<String> = operations
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |m| format!("{} {path}", m.to_uppercase()))
        })
        .collect();
    let routes = TABLE.0.iter().map(|route| format!("{} {}", route.method, route.path));
    assert_eq!(told, routes.collect());
    assert!(told.contains("GET /openapi.json") && told.len() > 45, "{told:?}");
}

#[test]
fn it_is_openapi() {
    let document = &TABLE.1;
    let members = |value: &'static Value| value.as_object().unwrap().iter();
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    members(&document["components"]["schemas"]).for_each(|(_, schema)| schemas().check(schema));
    let mut ids = BTreeSet::new();
    for route in &TABLE.0 {
        let (told, path) = (operation(route), route.path);
        assert!(path.starts_with('/') && ids.insert(told["operationId"].as_str().unwrap()), "{path}");
        assert!(told["summary"].as_str().unwrap().ends_with('.'), "{path}: a summary is a sentence");
        // Each parameter of the path is told of once, and each parameter has a schema.
        let mut named = Vec::new();
        for parameter in told["parameters"].as_array().unwrap() {
            schemas().check(&parameter["schema"]);
            match parameter["in"].as_str().unwrap() {
                "path" => named.push(format!("{{{}}}", parameter["name"].as_str().unwrap())),
                place => assert!(["query", "header"].contains(&place), "{place}"),
            }
            assert!(parameter["in"] != "path" || parameter["required"] == true, "{path}");
        }
        assert_eq!(named, path.split('/').filter(|part| part.starts_with('{')).collect::<Vec<_>>(), "{path}");
        for (_, content) in told.get("requestBody").map(|body| members(&body["content"])).into_iter().flatten() {
            schemas().check(&content["schema"]);
        }
        for (_, response) in members(&told["responses"]) {
            let response = schemas().resolve(response);
            assert!(response["description"].is_string());
            members(&response["content"]).for_each(|(_, content)| schemas().check(&content["schema"]));
        }
    }
}

#[test]
fn it_names_every_code() {
    let codes = schemas().resolve(&TABLE.1["components"]["schemas"]["ErrorCode"]);
    let told: Vec<&str> =
        codes["oneOf"].as_array().unwrap().iter().map(|code| code["const"].as_str().unwrap()).collect();
    assert_eq!(told, ErrorCode::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>());
}

#[test]
fn bodies_that_it_allows_are_read_and_unknown_members_are_refused() {
    let mut bodies = 0;
    for route in &TABLE.0 {
        let Some(schema) = body_schema(route) else { continue };
        bodies += 1;
        for (whole, cases) in [(true, 20), (false, 60)] {
            let mut runner = TestRunner::new(ProptestConfig::with_cases(cases));
            let given = (schemas().values(schema, whole), any::<prop::sample::Index>());
            let read = |body: &Value| (route.read_body)(body.to_string().as_bytes()).unwrap();
            let ran = runner.run(&given, |(mut body, pick)| {
                prop_assert_eq!(read(&body).map_err(|error| error.to_string()), Ok(()), "{}", body);
                prop_assert_eq!(schemas().fault(schema, &body), None);
                // One more member, in any of the objects that take none.
                let mut strict = Vec::new();
                schemas().strict(schema, &body, String::new(), &mut strict);
                let place = &strict[pick.index(strict.len())];
                body.pointer_mut(place).unwrap()["no_such_member"] = json!(1);
                let code = read(&body).map_err(|error| error.code());
                prop_assert!(matches!(code, Err("unknown_field" | "invalid_input")), "{:?} {}", code, body);
                Ok(())
            });
            ran.unwrap_or_else(|error| panic!("{} {}: {error}", route.method, route.path));
        }
    }
    assert!(bodies > 10, "{bodies}");
}

#[test]
fn query_strings_that_it_allows_are_read_and_unknown_members_are_refused() {
    let mut queries = 0;
    for route in &TABLE.0 {
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let parameters = operation(route)["parameters"].as_array().unwrap().iter();
        for parameter in parameters.filter(|parameter| parameter["in"] == "query") {
            queries += 1;
            let name = parameter["name"].as_str().unwrap();
            let mut runner = TestRunner::new(ProptestConfig::with_cases(30));
            let ran = runner.run(&schemas().values(&parameter["schema"], false), |value| {
                let mut pairs = vec![(name.to_owned(), text(value))];
                let read = |pairs: &[_]| (route.read_query)(pairs).unwrap();
                prop_assert_eq!(read(&pairs).map_err(|error| error.to_string()), Ok(()), "{:?}", pairs);
                pairs.push(("no_such_member".to_owned(), "1".to_owned()));
                prop_assert!(read(&pairs).is_err_and(|error| error.to_string().contains("no_such_member")));
                Ok(())
            });
            ran.unwrap_or_else(|error| panic!("{} {}: {name}: {error}", route.method, route.path));
        }
    }
    assert!(queries > 20, "{queries}");
}

/// The names that an error lists as known.
fn known(error: &str) -> BTreeSet<String> {
    let listed = error.split_once("known here are ").map_or("", |(_, listed)| listed);
    let listed = listed.split(", in `").next().unwrap_or_default();
    listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn each_member_that_is_read_is_in_it() {
    for route in &TABLE.0 {
        if let Some(schema) = body_schema(route) {
            let error = (route.read_body)(br#"{"no_such_member":1}"#).unwrap().unwrap_err().to_string();
            let told = schemas().resolve(schema)["properties"].as_object().unwrap();
            assert_eq!(known(&error), told.keys().cloned().collect(), "{} {}", route.method, route.path);
        }
        if let Some(read) = (route.read_query)(&[("no_such_member".to_owned(), "1".to_owned())]) {
            let parameters = operation(route)["parameters"].as_array().unwrap().iter();
            let told = parameters.filter(|parameter| parameter["in"] == "query");
            let told = told.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect();
            assert_eq!(known(&read.unwrap_err().to_string()), told, "{} {}", route.method, route.path);
        }
    }
}

#[test]
fn it_tells_a_gateways_own_limits() {
    let limits =
        Limits { batch: 7, limit: 8, default_timeout: std::time::Duration::from_millis(9), ..Limits::default() };
    let document = document(&TABLE.0, &limits);
    let member = |name: &str| document["components"]["schemas"][name]["properties"].clone();
    assert_eq!(member("Upsert")["vectors"]["maxItems"], 7);
    assert_eq!((&member("Search")["limit"]["maximum"], &member("Search")["limit"]["default"]), (&json!(8), &json!(10)));
    assert_eq!(member("Search")["timeout_ms"]["default"], 9);
}

#[test]
fn it_allows_the_bodies_of_the_reference() {
    let mut bodies = 0;
    for call in REFERENCE.split("$ curl ").skip(1) {
        let (_, path) = call.split_once("localhost:8000").expect("a call of a node");
        let path = path.split([' ', '\'', '\n']).next().unwrap_or_default();
        let Some(body) = call.split("```").next().and_then(|call| call.split("-d '").nth(1)) else { continue };
        let method = call.split("-X ").nth(1).map_or("POST", |rest| rest.split(' ').next().unwrap_or_default());
        assert!(route_of(method, path).is_some(), "{method} {path}");
        check_taken(method, path, body.split('\'').next().unwrap_or_default());
        bodies += 1;
    }
    assert!(bodies >= 4, "{bodies}");
}
