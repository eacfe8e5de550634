//! What each app is used for: somebody writes something in it, and finds it again.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use reqwest::Method;
use serde_json::json;

use crate::app::{App, Running, must};
use crate::house::{BOUND, House};
use crate::visitor::Visitor;

/// What is written everywhere.
const MARK: &str = "Kapal layar berlabuh di Makassar";
const JSON: (&str, &str) = ("content-type", "application/json");

/// Opens the first page as a visitor.
pub async fn first_page(app: App, house: &House, running: &Running) -> Result<String> {
    let visitor = running.visitor(house)?;
    let says = match app {
        App::Wordpress => "Perahu",
        App::Ghost => "My publication",
        App::N8n => "n8n.io",
        App::Postgresql => return Ok("no page".to_owned()),
    };
    let answer = visitor.until("/", "the first page", BOUND, |answer| answer.status == 200).await?;
    ensure!(answer.text.contains(says), "the first page does not say {says}: {}", start(&answer.text));
    Ok(format!("200 at {}", visitor.url))
}

/// Tries to become the administrator of an app that somebody else has just bought.
pub async fn take_over(app: App, house: &House, running: &Running) -> Result<String> {
    let visitor = running.visitor(house)?;
    match app {
        App::Postgresql => Ok("no page".to_owned()),
        App::Wordpress => {
            let answer = visitor.get("/wp-admin/install.php?step=1").await?;
            must(answer.text.contains("already installed"), "install.php: already installed")
        }
        App::Ghost => {
            let owner = json!({"setup": [{"name": "Eve", "email": "eve@nakhoda.test", "password": "kapal karam 99 kali", "blogTitle": "Mine"}]});
            let path = "/ghost/api/admin/authentication/setup/";
            let answer = visitor
                .send(Method::POST, path, &[JSON, ("accept-version", "v6.0")], Some(owner.to_string()))
                .await?;
            must(answer.status == 403, &format!("setup: {}", answer.status))
        }
        App::N8n => {
            let owner = json!({"email": "eve@nakhoda.test", "firstName": "Eve", "lastName": "E", "password": "Kapal-karam-99"});
            let answer =
                visitor.send(Method::POST, "/rest/owner/setup", &[JSON], Some(owner.to_string())).await?;
            must(answer.status.is_client_error(), &format!("owner/setup: {}", answer.status))
        }
    }
}

/// Writes the mark as the app's owner.
pub async fn write(app: App, house: &House, running: &Running) -> Result<String> {
    match app {
        App::Postgresql => {
            let sql = format!("create table marks (said text); insert into marks values ('{MARK}')");
            psql(house, running, &sql).await?;
        }
        App::Wordpress => {
            let (user, password) = (running.credential("username")?, running.credential("password")?);
            let call = format!(
                "<?xml version=\"1.0\"?><methodCall><methodName>wp.newPost</methodName><params><param><value><int>0</int></value></param>\
                 <param><value><string>{user}</string></value></param><param><value><string>{password}</string></value></param>\
                 <param><value><struct><member><name>post_title</name><value><string>{MARK}</string></value></member>\
                 <member><name>post_status</name><value><string>publish</string></value></member></struct></value></param></params></methodCall>"
            );
            let answer = running
                .visitor(house)?
                .send(Method::POST, "/xmlrpc.php", &[("content-type", "text/xml")], Some(call))
                .await?;
            ensure!(answer.status == 200 && !answer.text.contains("<fault>"), "{}", answer.text);
        }
        App::Ghost => {
            let visitor = ghost_owner(running.visitor(house)?, running).await?;
            let post =
                json!({"posts": [{"title": MARK, "status": "published", "html": "<p>Selamat datang</p>"}]});
            let origin = visitor.url.clone();
            let headers = [JSON, ("origin", origin.as_str()), ("accept-version", "v6.0")];
            let answer = visitor
                .send(Method::POST, "/ghost/api/admin/posts/?source=html", &headers, Some(post.to_string()))
                .await?;
            ensure!(answer.status == 201, "{}: {}", answer.status, start(&answer.text));
        }
        App::N8n => {
            let visitor = n8n_owner(running.visitor(house)?, running).await?;
            let flow = json!({"name": MARK, "nodes": [], "connections": {}, "settings": {}, "active": false});
            let answer =
                visitor.send(Method::POST, "/rest/workflows", &[JSON], Some(flow.to_string())).await?;
            ensure!(answer.status.is_success(), "{}: {}", answer.status, start(&answer.text));
        }
    }
    read(app, house, running).await
}

/// Finds the mark again.
pub async fn read(app: App, house: &House, running: &Running) -> Result<String> {
    let there = |answer: &crate::visitor::Answer| answer.status == 200 && answer.text.contains(MARK);
    match app {
        App::Postgresql => {
            let said = psql(house, running, "select said from marks").await?;
            ensure!(said.trim() == MARK, "{said:?}");
        }
        App::Wordpress | App::Ghost => {
            running.visitor(house)?.until("/", "the page that says it", BOUND, there).await?;
        }
        App::N8n => {
            let visitor = running.visitor(house)?;
            visitor
                .until("/healthz/readiness", "it to be ready", BOUND, |answer| answer.status == 200)
                .await?;
            let visitor = n8n_owner(visitor, running).await?;
            visitor.until("/rest/workflows", "the workflow", BOUND, there).await?;
        }
    }
    Ok("the data is there".to_owned())
}

/// Runs SQL as the customer, from the node, at the address of the app's Service.
async fn psql(house: &House, running: &Running, sql: &str) -> Result<String> {
    let services: Api<Service> = Api::namespaced(house.admin.clone(), &running.namespace);
    let service = services.get(&running.name).await?;
    let address = service.spec.and_then(|spec| spec.cluster_ip).context("a Service has an address")?;
    let (user, database, password) =
        (running.credential("username")?, running.credential("database")?, running.credential("password")?);
    let connection = format!(
        "host={address} user={user} dbname={database} password={password} sslmode=require connect_timeout=5"
    );
    let node = house.node()?;
    let mut last = None;
    e2e::wait::until("the database to answer", Duration::from_mins(1), async || {
        match node.run("psql", &["-qtAX", "-v", "ON_ERROR_STOP=1", "-d", &connection, "-c", sql]) {
            Ok(said) => Ok(Some(said)),
            Err(error) => {
                last = Some(error.to_string().replace(&password, "…"));
                Ok(None)
            }
        }
    })
    .await
    .with_context(|| format!("{last:?}"))
}

async fn ghost_owner(visitor: Visitor, running: &Running) -> Result<Visitor> {
    let login =
        json!({"username": running.credential("email")?, "password": running.credential("password")?});
    let origin = visitor.url.clone();
    let headers = [JSON, ("origin", origin.as_str()), ("accept-version", "v6.0")];
    let answer =
        visitor.send(Method::POST, "/ghost/api/admin/session/", &headers, Some(login.to_string())).await?;
    ensure!(answer.status == 201, "{}: {}", answer.status, start(&answer.text));
    Ok(visitor)
}

async fn n8n_owner(visitor: Visitor, running: &Running) -> Result<Visitor> {
    let login = json!({"emailOrLdapLoginId": running.credential("email")?, "password": running.credential("password")?});
    let answer = visitor.send(Method::POST, "/rest/login", &[JSON], Some(login.to_string())).await?;
    ensure!(answer.status == 200, "{}: {}", answer.status, start(&answer.text));
    Ok(visitor)
}

fn start(text: &str) -> String {
    text.chars().take(300).collect()
}
