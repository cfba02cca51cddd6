//! `--tui`: the demo in a terminal. It shows nodes, the ends of their logs and events; keys do what the page's buttons
//! do.
//!
//! [`view`] collects what there is to show. [`draw`] shows it and knows no cluster. This file reads keys and acts.

mod draw;
mod view;

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

use crate::demo::supervisor::demo_client::{ClientRequest, RequestKind};
use crate::demo::supervisor::refused::Refused;
use crate::demo::supervisor::settings::SHARDS;
use crate::demo::supervisor::{ProcessState, Supervisor};
use crate::demo::terminal::view::Screen;

/// Pause between two pictures.
const FRAME: Duration = Duration::from_millis(100);
/// How long the thread that reads keys waits before it looks whether to end.
const KEY_WAIT: Duration = Duration::from_millis(100);

/// Which node and group are chosen, and what the last key did.
struct Chosen {
    node: String,
    group: u64,
    said: String,
}

/// Shows the demo until `q` or Ctrl-C. Restores the terminal when this returns or is dropped.
///
/// # Errors
/// There is no terminal, or it cannot be drawn on.
pub(super) async fn show(supervisor: Arc<Supervisor>) -> anyhow::Result<()> {
    anyhow::ensure!(std::io::stdout().is_terminal(), "--tui needs a terminal: leave it out and open the page instead");
    let mut terminal = ratatui::try_init()?;
    let _restores = Restores;
    // Reading keys blocks, so a thread of its own does it. It ends when the receiver is gone.
    let (keys, mut pressed) = mpsc::unbounded_channel();
    std::thread::spawn(move || read_keys(&keys));
    let node = supervisor.nodes().into_keys().next().unwrap_or_default();
    let mut chosen = Chosen { node, group: 1, said: String::new() };
    let mut frames = tokio::time::interval(FRAME);
    loop {
        tokio::select! {
            key = pressed.recv() => match key {
                None | Some(KeyCode::Char('q')) => return Ok(()),
                Some(key) => chosen.press(&supervisor, key).await,
            },
            _ = frames.tick() => {
                let view = Screen::of(&supervisor, &chosen.node, chosen.group, &chosen.said).await;
                terminal.draw(|frame| draw::draw(frame, &view))?;
            }
        }
    }
}

/// Restores the terminal when it is dropped.
struct Restores;

impl Drop for Restores {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Reads keys until the receiver is gone. In raw mode Ctrl-C is a key as well.
fn read_keys(keys: &mpsc::UnboundedSender<KeyCode>) {
    while !keys.is_closed() {
        // It waits only briefly for a key, so that it notices when nobody listens any more.
        match event::poll(KEY_WAIT) {
            Ok(false) => continue,
            Ok(true) => {}
            Err(_) => return,
        }
        let Ok(Event::Key(key)) = event::read() else { continue };
        let code = match (key.code, key.modifiers.contains(KeyModifiers::CONTROL)) {
            (KeyCode::Char('c'), true) => KeyCode::Char('q'),
            // A line feed, which some terminals send for Enter, comes as Ctrl-J.
            (_, true) => continue,
            (code, false) => code,
        };
        if key.kind == KeyEventKind::Press && keys.send(code).is_err() {
            return;
        }
    }
}

impl Chosen {
    async fn press(&mut self, supervisor: &Arc<Supervisor>, key: KeyCode) {
        let outcome = match key {
            KeyCode::Char(digit @ '1'..='7') => {
                let place = digit as usize - '1' as usize;
                match supervisor.nodes().into_keys().nth(place) {
                    Some(name) => self.node = name,
                    None => return,
                }
                Ok(format!("{} is chosen", self.node))
            }
            KeyCode::Char('g') => {
                self.group = (self.group + 1) % (u64::from(SHARDS) + 1);
                Ok(String::new())
            }
            KeyCode::Char(letter) => self.action(supervisor, letter).await,
            _ => return,
        };
        // Also a refusal is shown, with its reason.
        self.said = outcome.unwrap_or_else(|refused| refused.to_string());
    }

    async fn action(&self, supervisor: &Arc<Supervisor>, letter: char) -> Result<String, Refused> {
        let name = &self.node;
        match letter {
            'k' => supervisor.kill(name).await,
            'r' => supervisor.restart(name).await,
            'p' if supervisor.known(name)?.state == ProcessState::Paused => supervisor.resume(name).await,
            'p' => supervisor.pause(name).await,
            'i' => supervisor.isolate(name, true).await,
            'j' => supervisor.isolate(name, false).await,
            'h' => supervisor.heal().await,
            'c' => supervisor.nudge(name, self.group, "campaign").await,
            'd' => supervisor.nudge(name, self.group, "step-down").await,
            'w' => self.request_as_client(supervisor, RequestKind::Write),
            'e' => self.request_as_client(supervisor, RequestKind::Read),
            _ => Ok("no such key".to_owned()),
        }
    }

    /// Writes or reads in a task of its own, because it takes a while without a majority. The event list shows the
    /// answer.
    fn request_as_client(&self, supervisor: &Arc<Supervisor>, op: RequestKind) -> Result<String, Refused> {
        let value = supervisor.events.last().to_string().into();
        let request = ClientRequest { op, via: self.node.clone(), level: "quorum".to_owned(), key: 1, value };
        let (supervisor, via) = (supervisor.clone(), self.node.clone());
        tokio::spawn(async move { supervisor.request_as_client(&request).await.map(drop) });
        Ok(format!("asked {via}; the answer comes in the list"))
    }
}
