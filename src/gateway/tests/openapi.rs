//! The document of the API says what the API does: it names every route, its bodies are read, and its answers are those that
//! are sent.

use super::*;

#[tokio::test]
async fn dump() {
    let (router, _) = docs().await;
    let answered = get(&router, "/openapi.json").await.ok();
    std::fs::write("/tmp/wtd-openapi.json", serde_json::to_string_pretty(&answered.body).unwrap()).unwrap();
}
