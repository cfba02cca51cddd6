//! `--tui`: the demo in a terminal. Nodes, the ends of their logs, what happened; keys pull the strings of the page.
//!
//! [`look`] gathers what there is to show, [`draw`] shows it and knows no cluster, this file reads keys and acts.

mod draw;
mod look;

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

use self::look::View;
use super::SHARDS;
use super::stage::{Condition, Refused, Stage};
use super::visitor::{Op, Wish};

/// Pause between two pictures.
const FRAME: Duration = Duration::from_millis(100);
/// How long the thread that reads keys waits before it looks whether it is to end.
const KEY_WAIT: Duration = Duration::from_millis(100);

/// What is chosen, and what the last key came to.
struct Chosen {
    node: String,
    group: u64,
    said: String,
}

/// Shows the demo until `q` or Ctrl-C. The terminal is as before when this returns or is dropped.
///
/// # Errors
/// Where there is no terminal.
pub(super) async fn show(stage: Arc<Stage>) -> anyhow::Result<()> {
    anyhow::ensure!(std::io::stdout().is_terminal(), "--tui needs a terminal: leave it out and open the page instead");
    let mut terminal = ratatui::try_init()?;
    let _restores = Restores;
    let (keys, mut pressed) = mpsc::unbounded_channel();
    std::thread::spawn(move || read_keys(&keys));
    let node = stage.seats().into_keys().next().unwrap_or_default();
    let mut chosen = Chosen { node, group: 1, said: String::new() };
    let mut frames = tokio::time::interval(FRAME);
    loop {
        tokio::select! {
            key = pressed.recv() => match key {
                None | Some(KeyCode::Char('q')) => return Ok(()),
                Some(key) => chosen.press(&stage, key).await,
            },
            _ = frames.tick() => {
                let view = View::of(&stage, &chosen.node, chosen.group, &chosen.said).await;
                terminal.draw(|frame| draw::draw(frame, &view))?;
            }
        }
    }
}

/// Gives the terminal back, whatever ends the pictures.
struct Restores;

impl Drop for Restores {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Reads keys until nobody wants them any more. In raw mode Ctrl-C is a key as well.
fn read_keys(keys: &mpsc::UnboundedSender<KeyCode>) {
    while !keys.is_closed() {
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
    async fn press(&mut self, stage: &Arc<Stage>, key: KeyCode) {
        let outcome = match key {
            KeyCode::Char(digit @ '1'..='7') => {
                let place = digit as usize - '1' as usize;
                match stage.seats().into_keys().nth(place) {
                    Some(name) => self.node = name,
                    None => return,
                }
                Ok(format!("{} is chosen", self.node))
            }
            KeyCode::Char('g') => {
                self.group = (self.group + 1) % (u64::from(SHARDS) + 1);
                Ok(String::new())
            }
            KeyCode::Char(letter) => self.act(stage, letter).await,
            _ => return,
        };
        self.said = outcome.unwrap_or_else(|refused| refused.to_string());
    }

    async fn act(&self, stage: &Arc<Stage>, letter: char) -> Result<String, Refused> {
        let name = &self.node;
        match letter {
            'k' => stage.kill(name).await,
            'r' => stage.restart(name).await,
            'p' if stage.known(name)?.state == Condition::Paused => stage.resume(name).await,
            'p' => stage.pause(name).await,
            'i' => stage.isolate(name, true).await,
            'j' => stage.isolate(name, false).await,
            'h' => stage.heal().await,
            'c' => stage.nudge(name, self.group, "campaign").await,
            'd' => stage.nudge(name, self.group, "step-down").await,
            'w' => self.visit(stage, Op::Write),
            'e' => self.visit(stage, Op::Read),
            _ => Ok("no such key".to_owned()),
        }
    }

    /// Writes or reads beside the pictures: without a majority that takes a while. The event list shows the answer.
    fn visit(&self, stage: &Arc<Stage>, op: Op) -> Result<String, Refused> {
        let value = stage.tape.last().to_string().into();
        let wish = Wish { op, via: self.node.clone(), level: "quorum".to_owned(), key: 1, value };
        let (stage, via) = (stage.clone(), self.node.clone());
        tokio::spawn(async move { stage.visit(&wish).await.map(drop) });
        Ok(format!("asked {via}; the answer comes in the list"))
    }
}
