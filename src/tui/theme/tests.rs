use super::*;

fn built_in(level: ColourLevel) -> Vec<Theme> {
    BUILT_IN.iter().map(|(name, _)| load(name, None, level, &UNICODE).unwrap()).collect()
}

#[test]
fn every_built_in_theme_parses_at_every_level_and_names_itself() {
    for level in [ColourLevel::None, ColourLevel::Ansi16, ColourLevel::Ansi256, ColourLevel::True] {
        let names: Vec<String> = built_in(level).iter().map(|t| t.name().to_owned()).collect();
        assert_eq!(names, ["dark", "light", "high-contrast", "colour-blind", "monochrome"]);
    }
}

#[test]
fn a_selection_can_be_seen_at_every_level() {
    for level in [ColourLevel::None, ColourLevel::Ansi16, ColourLevel::Ansi256, ColourLevel::True] {
        for theme in built_in(level) {
            let (base, chosen) = (theme.style(Slot::Base), theme.style(Slot::Selection));
            let reversed = chosen.add_modifier.contains(Modifier::REVERSED);
            assert!(reversed || chosen.bg != base.bg, "{} {level:?}", theme.name());
        }
    }
}

#[test]
fn without_colours_nothing_is_coloured_and_what_matters_has_a_modifier() {
    for theme in built_in(ColourLevel::None) {
        for slot in Slot::ALL {
            let style = theme.style(*slot);
            assert_eq!((style.fg, style.bg), (None, None), "{} {slot:?}", theme.name());
        }
        for slot in [Slot::Selection, Slot::Critical, Slot::Warning, Slot::Stale, Slot::Match, Slot::Key, Slot::Notice]
        {
            assert!(!theme.style(slot).add_modifier.is_empty(), "{} {slot:?}", theme.name());
        }
    }
}

#[test]
fn sixteen_colours_stay_within_the_sixteen() {
    for theme in built_in(ColourLevel::Ansi16) {
        for slot in Slot::ALL {
            let style = theme.style(*slot);
            for colour in [style.fg, style.bg].into_iter().flatten() {
                assert!(!matches!(colour, Color::Rgb(..) | Color::Indexed(_)), "{} {slot:?} {colour}", theme.name());
            }
        }
    }
}

/// Relative luminance of WCAG 2.
fn luminance(colour: Color) -> Option<f64> {
    let Color::Rgb(r, g, b) = colour else { return None };
    let part = |v: u8| {
        let v = f64::from(v) / 255.0;
        if v <= 0.03928 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
    };
    Some(0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b))
}

#[test]
fn text_has_a_contrast_of_at_least_four_and_a_half() {
    let lines = [Slot::Border, Slot::Idle, Slot::Band, Slot::PoolFree]; // drawn as shapes, never as text
    for theme in built_in(ColourLevel::True) {
        let ground = theme.style(Slot::Base).bg.unwrap_or(Color::Rgb(24, 24, 24));
        for slot in Slot::ALL.iter().filter(|slot| !lines.contains(slot)) {
            let style = theme.style(*slot);
            let fg = style.fg.or(theme.style(Slot::Base).fg).and_then(luminance);
            let bg = luminance(style.bg.unwrap_or(ground));
            let (Some(fg), Some(bg)) = (fg, bg) else { continue };
            let contrast = (fg.max(bg) + 0.05) / (fg.min(bg) + 0.05);
            assert!(contrast >= 4.5, "{} {slot:?}: {contrast:.2}", theme.name());
        }
    }
}

fn error(text: &str) -> String {
    parse("mine", "mine.toml", text, ColourLevel::True, &UNICODE).unwrap_err().to_string()
}

#[test]
fn a_wrong_file_says_where_and_what_would_be_right() {
    assert_eq!(
        error("[slots]\nselektion = \"red\"\n"),
        "mine.toml:2:1: unknown slot \"selektion\"; did you mean \"selection\"?"
    );
    assert_eq!(error("[palette]\nsky = \"#00f\"\n"), "mine.toml:2:7: unknown colour \"#00f\", or #rrggbb");
    assert_eq!(
        error("[slots]\nbase = \"white on blak\"\n"),
        "mine.toml:2:18: unknown colour or modifier \"blak\"; did you mean \"black\"?"
    );
    assert_eq!(error("[slot]\n"), "mine.toml:1:2: unknown section \"slot\"; did you mean \"slots\"?");
    assert_eq!(error("[slots]\nbase = \"white on\"\n"), "mine.toml:2:8: a colour must follow \"on\"");
    assert_eq!(error("[slots]\nbase = 3\n"), "mine.toml:2:8: must be a text in quotes");
    assert!(error("[slots\n").starts_with("mine.toml:1:"));
}

#[test]
fn a_missing_slot_takes_the_more_common_meaning() {
    let theme = parse("mine", "f", "[slots]\nwarning = \"yellow\"\n", ColourLevel::True, &UNICODE).unwrap();
    assert_eq!(theme.style(Slot::Critical).fg, Some(Color::Yellow));
    assert_eq!(theme.style(Slot::Threshold).fg, Some(Color::Yellow));
    assert_eq!(theme.style(Slot::Label).fg, None);
}

#[test]
fn a_users_file_wins_and_a_wrong_name_finds_the_nearest() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("dark.toml"), "[slots]\nbase = \"red\"\n").unwrap();
    let theme = load("dark", Some(directory.path()), ColourLevel::Ansi16, &ASCII).unwrap();
    assert_eq!(theme.style(Slot::Base).fg, Some(Color::Red));
    let error = load("drak", Some(directory.path()), ColourLevel::Ansi16, &ASCII).unwrap_err();
    assert!(error.what.contains("did you mean \"dark\""), "{error}");
    assert!(load("../dark", Some(directory.path()), ColourLevel::Ansi16, &ASCII).is_err());
}

#[test]
fn the_environment_decides_level_and_glyphs() {
    let env = |pairs: &'static [(&str, &str)]| {
        move |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
    };
    let level = |pairs| ColourLevel::detect(env(pairs));
    assert_eq!(level(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]), ColourLevel::True);
    assert_eq!(level(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("NO_COLOR", "1")]), ColourLevel::None);
    assert_eq!(level(&[("TERM", "screen-256color"), ("NO_COLOR", "")]), ColourLevel::Ansi256);
    assert_eq!(level(&[("TERM", "linux")]), ColourLevel::Ansi16);
    assert_eq!(level(&[("TERM", "dumb")]), ColourLevel::None);
    assert!(is_utf8(env(&[("LANG", "en_US.UTF-8")])));
    assert!(is_utf8(env(&[("LC_ALL", ""), ("LANG", "C.utf8")])));
    assert!(!is_utf8(env(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")])));
    assert!(!is_utf8(env(&[])));
}
