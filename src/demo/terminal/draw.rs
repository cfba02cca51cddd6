//! Draws one moment in a terminal: nodes above, their logs in the middle, events below. Knows no cluster.
//!
//! In: a [`Screen`]. Out: widgets.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Paragraph, Row as Cells, Table};

use crate::demo::terminal::view::{NodeRow, Screen};

/// The keys, for the last lines. Each line fits 80 columns.
const KEYS: &str = "1-7 node  g group  k kill  r restart  p pause/resume  i isolate  j rejoin\n\
                    h heal all  c campaign  d step down  w write  e read  q quit";

/// The colours of terms. The number of the term, modulo their count, chooses one.
const COLOURS: [Color; 6] = [Color::Cyan, Color::Yellow, Color::Green, Color::Magenta, Color::Blue, Color::Red];

/// Draws `view` on the whole terminal.
pub(super) fn draw(frame: &mut Frame<'_>, view: &Screen) {
    let rows = view.nodes.len() as u16;
    let areas = [Constraint::Length(rows + 3), Constraint::Length(rows + 2), Constraint::Min(3), Constraint::Length(3)];
    let [nodes, logs, events, foot] = Layout::vertical(areas).areas(frame.area());
    frame.render_widget(table(view), nodes);
    let title = format!(" logs of group {}: terms at the end, · not committed ", view.group);
    frame.render_widget(Paragraph::new(grid(&view.nodes)).block(Block::bordered().title(title)), logs);
    // The newest events are shown, as many as there are lines.
    let shown = usize::from(events.height.saturating_sub(2));
    let latest = view.events[view.events.len().saturating_sub(shown)..].iter().map(|event| Line::from(event.as_str()));
    frame.render_widget(Paragraph::new(latest.collect::<Vec<_>>()).block(Block::bordered().title(" events ")), events);
    let keys = KEYS.lines().map(Line::from);
    let last = std::iter::once(Line::from(view.said.as_str())).chain(keys).collect::<Vec<_>>();
    frame.render_widget(Paragraph::new(last), foot);
}

fn table(view: &Screen) -> Table<'_> {
    let rows = view.nodes.iter().map(|row| {
        let mark = if row.chosen { "▶" } else { " " };
        // Colours stand for roles; a node that is not up is grey.
        let style = match (row.state, row.role.as_str()) {
            ("up", "leader") => Style::new().fg(Color::Green).add_modifier(Modifier::BOLD),
            ("up", "candidate") => Style::new().fg(Color::Yellow),
            ("up", _) => Style::new(),
            _ => Style::new().fg(Color::DarkGray),
        };
        let cells = [mark.to_owned(), row.name.clone(), row.state.to_owned(), row.role.clone(), row.term.to_string()];
        let log = format!("{}/{}", row.committed, row.last_log);
        Cells::new(cells.into_iter().chain([log]).map(Cell::from)).style(style)
    });
    let widths = [1, 10, 8, 11, 6, 16].map(Constraint::Length);
    let head = Cells::new(["", "node", "process", "role", "term", "committed/last"]).style(Modifier::UNDERLINED);
    Table::new(rows, widths).header(head).block(Block::bordered().title(format!(" quiver demo, group {} ", view.group)))
}

/// One line for each node with its last entries. The same index is in the same column.
fn grid(rows: &[NodeRow]) -> Vec<Line<'static>> {
    let last = rows.iter().filter_map(|row| row.log.last()).map(|(index, _)| *index).max().unwrap_or(0);
    // All rows show the same range of indices, up to the longest log's end.
    let first = last.saturating_sub(15);
    let line = |row: &NodeRow| {
        let mut spans = vec![Span::raw(format!("{:<8}", row.name))];
        for index in first..=last {
            let entry = row.log.iter().find(|(at, _)| *at == index);
            spans.push(entry.map_or(Span::raw("     "), |(_, term)| {
                let mark = if index > row.committed { "·" } else { " " };
                let colour = COLOURS[*term as usize % COLOURS.len()];
                Span::styled(format!("{term:>4}{mark}"), Style::new().fg(colour))
            }));
        }
        Line::from(spans)
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    #[test]
    fn a_moment_is_drawn_with_its_nodes_logs_and_events() {
        let leader = NodeRow {
            name: "node1".to_owned(),
            chosen: true,
            state: "up",
            role: "leader".to_owned(),
            term: 3,
            committed: 4,
            last_log: 5,
            log: vec![(4, 2), (5, 3)],
        };
        let down = NodeRow { name: "node2".to_owned(), state: "down", ..NodeRow::default() };
        let (events, said) = (vec!["node1: elected in term 3".to_owned()], "node2 is killed".to_owned());
        let view = Screen { group: 1, nodes: vec![leader, down], events, said };
        let mut terminal = Terminal::new(TestBackend::new(110, 20)).expect("a terminal in memory");
        terminal.draw(|frame| draw(frame, &view)).expect("it draws");
        let picture = terminal.backend().to_string();
        for part in
            ["▶ node1", "leader", "4/5", "   2    3·", "node2", "down", "elected in term 3", "is killed", "q quit"]
        {
            assert!(picture.contains(part), "`{part}` is not shown:\n{picture}");
        }
    }
}
