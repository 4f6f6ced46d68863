//! The order that puts a text into the clipboard of the terminal (OSC 52), through whatever stands between.
//!
//! A multiplexer keeps such orders to itself unless they are wrapped in one that it hands on: tmux (with `allow-passthrough on`)
//! and screen each have their own. The text goes encoded, so nothing in it is an order.

use crossterm::Command as _;
use crossterm::clipboard::CopyToClipboard;

/// Longest text that is copied, bytes: every terminal takes an order of this size.
pub const MAX_TEXT: usize = 4096;
/// Longest piece that screen hands on in one order, bytes.
const SCREEN_PIECE: usize = 240;

/// What stands between this program and the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Multiplexer {
    /// Nothing that is known of.
    None,
    /// tmux.
    Tmux,
    /// GNU screen.
    Screen,
}

impl Multiplexer {
    /// As the environment says: each sets a variable of its own, and a name of the terminal that is inherited over ssh.
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        let term = variable("TERM").unwrap_or_default();
        match () {
            () if set("TMUX") => Self::Tmux,
            () if set("STY") => Self::Screen,
            () if term.starts_with("tmux") => Self::Tmux,
            () if term.starts_with("screen") => Self::Screen,
            () => Self::None,
        }
    }
}

/// The order for `text`, or for as much of it as is copied at most.
pub fn order(text: &str, through: Multiplexer) -> String {
    let end = text.floor_char_boundary(MAX_TEXT);
    let mut plain = String::new();
    // Writing into a text cannot fail.
    let _ = CopyToClipboard::to_clipboard_from(&text[..end]).write_ansi(&mut plain);
    match through {
        Multiplexer::None => plain,
        // The plain one serves `set-clipboard on`, the wrapped one the terminal outside; whoever understands both gets the same.
        Multiplexer::Tmux => {
            let inside = plain.replace('\x1b', "\x1b\x1b");
            format!("{plain}\x1bPtmux;{inside}\x1b\\")
        }
        Multiplexer::Screen => {
            // The usual end of the order would end the wrapping.
            let inside = plain.strip_suffix("\x1b\\").map_or_else(|| plain.clone(), |order| format!("{order}\x07"));
            let mut wrapped = String::new();
            let mut rest = inside.as_str();
            while !rest.is_empty() {
                let (piece, more) = rest.split_at(rest.floor_char_boundary(SCREEN_PIECE));
                wrapped.push_str("\x1bP");
                wrapped.push_str(piece);
                wrapped.push_str("\x1b\\");
                rest = more;
            }
            wrapped
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(variables: &[(&str, &str)]) -> Multiplexer {
        Multiplexer::detect(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_environment_says_what_stands_between() {
        assert_eq!(detect(&[("TERM", "xterm-256color")]), Multiplexer::None);
        assert_eq!(detect(&[("TERM", "screen-256color"), ("TMUX", "/tmp/tmux,1,0")]), Multiplexer::Tmux);
        assert_eq!(detect(&[("TERM", "tmux-256color")]), Multiplexer::Tmux);
        assert_eq!(detect(&[("TERM", "xterm"), ("STY", "1.pts-0")]), Multiplexer::Screen);
        assert_eq!(detect(&[("TERM", "screen"), ("TMUX", "")]), Multiplexer::Screen);
        assert_eq!(detect(&[]), Multiplexer::None);
    }

    #[test]
    fn an_order_is_wrapped_as_the_multiplexer_hands_it_on() {
        assert_eq!(order("flink", Multiplexer::None), "\x1b]52;c;Zmxpbms=\x1b\\");
        assert_eq!(
            order("flink", Multiplexer::Tmux),
            "\x1b]52;c;Zmxpbms=\x1b\\\x1bPtmux;\x1b\x1b]52;c;Zmxpbms=\x1b\x1b\\\x1b\\"
        );
        assert_eq!(order("flink", Multiplexer::Screen), "\x1bP\x1b]52;c;Zmxpbms=\x07\x1b\\");
    }

    #[test]
    fn screen_gets_pieces_that_make_up_the_whole() {
        let text = "x".repeat(1000);
        let wrapped = order(&text, Multiplexer::Screen);
        let pieces: Vec<&str> = wrapped.split("\x1b\\").filter(|piece| !piece.is_empty()).collect();
        assert!(pieces.len() > 5 && pieces.iter().all(|piece| piece.len() <= SCREEN_PIECE + 2));
        let whole: String = pieces.iter().map(|piece| piece.strip_prefix("\x1bP").unwrap()).collect();
        let plain = order(&text, Multiplexer::None);
        assert_eq!(whole, format!("{}\x07", plain.strip_suffix("\x1b\\").unwrap()));
    }

    #[test]
    fn a_long_text_is_cut_between_two_characters() {
        let text = "ä".repeat(MAX_TEXT);
        let kept = "ä".repeat(MAX_TEXT / 2);
        for through in [Multiplexer::None, Multiplexer::Tmux, Multiplexer::Screen] {
            assert_eq!(order(&format!("{text}x"), through), order(&kept, through));
        }
    }

    #[test]
    fn nothing_in_a_text_is_an_order() {
        let hostile = "\x1b]0;owned\x07\x1b\\";
        for through in [Multiplexer::None, Multiplexer::Tmux, Multiplexer::Screen] {
            assert!(!order(hostile, through).contains("]0;"));
        }
    }
}
