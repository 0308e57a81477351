//! From a [`Chart`] to SVG: the layout, and the shapes in the order in which they lie over each other.
//!
//! The library draws on whole units. There are [`UNITS`] of them to a pixel, so that lines are smooth.

use std::fmt::Write as _;
use std::io;

use plotters::coord::Shift;
use plotters::prelude::{
    Circle, DrawingArea, DrawingAreaErrorKind, IntoDrawingArea as _, IntoFont as _, PathElement, RGBAColor, RGBColor,
    Rectangle, SVGBackend, ShapeStyle, Text, TextStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontStyle};

use super::scale::{ValueAxis, say_value, time_ticks};
use super::thin::{Piece, thin};
use super::{Band, BandClass, Chart, Line, LineClass, Scale};
use crate::domain::time::Timestamp;

/// Units of the picture in one pixel.
const UNITS: f64 = 4.0;

// The colours of `chart.css`, which gives each its variable.
const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
const INK: RGBColor = RGBColor(0x1B, 0x1F, 0x24);
const SOFT: RGBColor = RGBColor(0x57, 0x60, 0x6A);
const GRID: RGBColor = RGBColor(0xD8, 0xDE, 0xE4);
const ALARM: RGBColor = RGBColor(0xCF, 0x22, 0x2E);

const FONT: &str = "system-ui, sans-serif";
const TITLE_SIZE: f64 = 15.0;
const TEXT_SIZE: f64 = 12.0;
/// From one line of text to the next.
const LEADING: f64 = 16.0;
/// The width of a character, as a share of the size of the font: a little more than most fonts need.
const CHARACTER: f64 = 0.56;
const MARGIN: f64 = 12.0;

/// Drawing into memory does not fail, but the library cannot know.
type DrawError = DrawingAreaErrorKind<io::Error>;
type Drawn = Result<(), DrawError>;

impl LineClass {
    const fn color(self) -> RGBColor {
        match self {
            Self::First => RGBColor(0x0A, 0x58, 0xCA),
            Self::Second => RGBColor(0xB3, 0x59, 0x00),
            Self::Third => RGBColor(0x1A, 0x7F, 0x37),
            Self::Reference => RGBColor(0x8C, 0x95, 0x9F),
        }
    }

    const fn width(self) -> f64 {
        match self {
            Self::First => 1.75,
            Self::Second | Self::Third => 1.5,
            Self::Reference => 1.0,
        }
    }
}

impl BandClass {
    const fn color(self) -> RGBColor {
        match self {
            Self::Alarm => ALARM,
            Self::Caution => RGBColor(0xBF, 0x87, 0x00),
            Self::Neutral => RGBColor(0x6E, 0x77, 0x81),
        }
    }
}

/// Draws a chart; `style` goes into the picture.
pub fn draw(chart: &Chart, style: Option<&str>) -> Result<String, DrawError> {
    let size = (units(f64::from(chart.size.width())), units(f64::from(chart.size.height())));
    let mut shapes = String::with_capacity(32 * 1_024);
    {
        let backend = SVGBackend::with_string(&mut shapes, (size.0.unsigned_abs(), size.1.unsigned_abs()));
        Canvas { area: backend.into_drawing_area() }.draw(chart)?;
    }
    // The library's own first tag, which cannot say what the picture is.
    let (_, shapes) = shapes.split_once('\n').unwrap_or_default();
    // It breaks lines around words, which some readers take for spaces.
    let shapes = shapes.replace("\">\n", "\">").replace("\n</text>", "</text>");
    Ok(format!("{}{shapes}", head(chart, style, size)))
}

/// The first tag, with name and description for those who cannot see the picture.
fn head(chart: &Chart, style: Option<&str>, (width, height): (i32, i32)) -> String {
    let (title, description) = (name_of(chart), describe(chart));
    // Names within a page must not repeat; a narrow picture stands beside the wide one.
    let hash = blake3::hash(format!("{title}\n{description}\n{width} {height}").as_bytes()).to_hex();
    let id = &hash[..10];
    // Within a page it is known what it is.
    let namespace = if style.is_some() { " xmlns=\"http://www.w3.org/2000/svg\"" } else { "" };
    let mut head = format!(
        "<svg{namespace} class=\"chart\" role=\"img\" aria-labelledby=\"t{id} d{id}\" width=\"{}\" height=\"{}\" \
         viewBox=\"0 0 {width} {height}\">\n<title id=\"t{id}\">",
        chart.size.width(),
        chart.size.height(),
    );
    escape(&mut head, &title);
    let _ = write!(head, "</title>\n<desc id=\"d{id}\">");
    escape(&mut head, &description);
    head.push_str("</desc>\n");
    if let Some(style) = style {
        let _ = writeln!(head, "<style>{style}</style>");
    }
    head
}

fn name_of(chart: &Chart) -> String {
    let simulated = if chart.simulated { "SIMULATED: " } else { "" };
    if chart.unit == "1" {
        format!("{simulated}{}", chart.title)
    } else {
        format!("{simulated}{}, {}", chart.title, chart.unit)
    }
}

/// What the picture shows, in words: each line's ends and extremes, the bands and where it all is from.
fn describe(chart: &Chart) -> String {
    let mut text = String::new();
    for line in &chart.lines {
        let _ = write!(text, "{}: ", line.label);
        let values: Piece = values_of(line, Scale::Linear).collect();
        let by_value = |a: &&(Timestamp, f64), b: &&(Timestamp, f64)| a.1.total_cmp(&b.1);
        let (lowest, highest) = (values.iter().min_by(by_value), values.iter().max_by(by_value));
        let (Some(first), Some(last), Some(lowest), Some(highest)) = (values.first(), values.last(), lowest, highest)
        else {
            text.push_str("no values. ");
            continue;
        };
        let say = |point: &(Timestamp, f64)| format!("{} on {}", say_value(point.1, &chart.unit), point.0.day());
        let _ = write!(
            text,
            "{} values from {} to {}; first {}, last {}, lowest {}, highest {}. ",
            values.len(),
            first.0.day(),
            last.0.day(),
            say_value(first.1, &chart.unit),
            say_value(last.1, &chart.unit),
            say(lowest),
            say(highest),
        );
    }
    let is_shown = |band: &&Band| chart.span.is_none_or(|(from, to)| from <= band.to && band.from <= to);
    for band in chart.bands.iter().filter(is_shown) {
        let _ = write!(text, "{} from {} to {}. ", band.label, band.from.day(), band.to.day());
    }
    for marker in &chart.markers {
        let _ = write!(text, "{} on {}. ", marker.label, marker.at.day());
    }
    text + &chart.subtitle.join(". ")
}

fn escape(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            // XML has no place for other control characters.
            control if control.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
}

/// The values that have a place on a scale.
fn values_of(line: &Line, scale: Scale) -> impl Iterator<Item = (Timestamp, f64)> {
    line.points.iter().filter_map(move |&(at, value)| Some((at, placeable(value, scale)?)))
}

fn placeable(value: Option<f64>, scale: Scale) -> Option<f64> {
    value.filter(|value| value.is_finite() && (scale == Scale::Linear || *value > 0.0))
}

/// Pixels to whole units.
fn units(pixels: f64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "a picture has at most 16,000 units")]
    let units = (pixels * UNITS).round() as i32;
    units
}

fn point(x: f64, y: f64) -> (i32, i32) {
    (units(x), units(y))
}

fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * CHARACTER * size
}

/// The text, or as much of its beginning as `room` holds.
fn shorten(text: &str, size: f64, room: f64) -> String {
    if text_width(text, size) <= room {
        return text.to_owned();
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hundred characters")]
    let count = (room / (CHARACTER * size)).max(1.0) as usize;
    text.chars().take(count.saturating_sub(1)).chain(['…']).collect()
}

/// The text in lines that `room` holds, broken at spaces.
fn wrap(text: &str, size: f64, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if text_width(line, size) + text_width(word, size) + CHARACTER * size <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.into_iter().map(|line| shorten(line.trim_start_matches("· "), size, room)).collect()
}

/// An entry of the legend.
enum Key<'a> {
    Line(&'a Line),
    Band(&'a Band),
}

/// The plot: its edges in pixels, and what they stand for.
struct Plot {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
    span: (Timestamp, Timestamp),
    /// `None` where there is no value.
    values: Option<ValueAxis>,
}

impl Plot {
    fn x(&self, at: Timestamp) -> f64 {
        let whole = self.span.1.since(self.span.0).micros() as f64;
        let share = if whole > 0.0 { at.since(self.span.0).micros() as f64 / whole } else { 0.5 };
        self.left + (self.right - self.left) * share.clamp(0.0, 1.0)
    }

    fn y(&self, axis: &ValueAxis, value: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * axis.place(value)
    }

    fn holds(&self, at: Timestamp) -> bool {
        self.span.0 <= at && at <= self.span.1
    }
}

struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

impl Canvas<'_> {
    fn draw(self, chart: &Chart) -> Drawn {
        let (width, height) = (f64::from(chart.size.width()), f64::from(chart.size.height()));
        self.rectangle(0.0, 0.0, width, height, PAPER.into())?;
        let top = self.header(chart, width, height)?;
        let plot = plot_of(chart, top, width, height);
        for band in &chart.bands {
            self.band(&plot, band)?;
        }
        self.axes(&plot)?;
        if chart.simulated {
            self.watermark(&plot)?;
        }
        match &plot.values {
            Some(axis) => {
                for line in chart.lines.iter().rev() {
                    self.line(&plot, axis, line, chart.scale)?;
                }
            }
            None => self.no_values(&plot)?,
        }
        self.markers(&plot, chart)?;
        self.area.present()
    }

    /// Title, captions and legend; the pixels they take.
    fn header(&self, chart: &Chart, width: f64, height: f64) -> Result<f64, DrawError> {
        let room = width - 2.0 * MARGIN;
        // Never more than what leaves the plot the lower half.
        let most = height * 0.5;
        let mut y = MARGIN;
        let title = shorten(&chart.title, TITLE_SIZE, room);
        self.text(&title, MARGIN, y, (HPos::Left, VPos::Top), TITLE_SIZE, INK, true)?;
        y += LEADING + 4.0;
        if chart.simulated {
            self.text("SIMULATED", MARGIN, y, (HPos::Left, VPos::Top), TEXT_SIZE, ALARM, true)?;
            let rest = shorten("no number here is real", TEXT_SIZE, room - 88.0);
            self.text(&rest, MARGIN + 84.0, y, (HPos::Left, VPos::Top), TEXT_SIZE, ALARM, false)?;
            y += LEADING;
        }
        for line in chart.subtitle.iter().flat_map(|line| wrap(line, TEXT_SIZE, room)) {
            if y + LEADING > most {
                break;
            }
            self.text(&line, MARGIN, y, (HPos::Left, VPos::Top), TEXT_SIZE, SOFT, false)?;
            y += LEADING;
        }
        self.legend(chart, room, most, &mut y)?;
        Ok(y)
    }

    /// Which line and which band is which, where there is more than one line.
    fn legend(&self, chart: &Chart, room: f64, most: f64, y: &mut f64) -> Drawn {
        const SWATCH: f64 = 18.0;
        let mut keys: Vec<Key<'_>> = Vec::new();
        if chart.lines.len() > 1 {
            keys.extend(chart.lines.iter().map(Key::Line));
        }
        for (place, band) in chart.bands.iter().enumerate() {
            if chart.bands[..place].iter().all(|earlier| earlier.label != band.label) {
                keys.push(Key::Band(band));
            }
        }
        let mut x = MARGIN;
        for key in keys {
            let label = match key {
                Key::Line(line) => &line.label,
                Key::Band(band) => &band.label,
            };
            let label = shorten(label, TEXT_SIZE, room - SWATCH - 6.0);
            let width = SWATCH + 6.0 + text_width(&label, TEXT_SIZE) + 14.0;
            if x > MARGIN && x + width > MARGIN + room {
                (x, *y) = (MARGIN, *y + LEADING);
            }
            if *y + LEADING > most {
                return Ok(());
            }
            match key {
                Key::Line(line) => {
                    let style = stroke(line.class.color(), line.class.width().max(1.5));
                    self.path([point(x, *y + 6.0), point(x + SWATCH, *y + 6.0)], style)?;
                }
                Key::Band(band) => {
                    self.rectangle(x, *y + 1.0, x + SWATCH, *y + 11.0, band.class.color().mix(0.3))?;
                }
            }
            self.text(&label, x + SWATCH + 6.0, *y, (HPos::Left, VPos::Top), TEXT_SIZE, INK, false)?;
            x += width;
        }
        if x > MARGIN {
            *y += LEADING;
        }
        Ok(())
    }

    fn axes(&self, plot: &Plot) -> Drawn {
        let grid = stroke(GRID, 1.0);
        if let Some(axis) = &plot.values {
            for (value, words) in &axis.ticks {
                let y = plot.y(axis, *value);
                self.path([point(plot.left, y), point(plot.right, y)], grid)?;
                self.text(words, plot.left - 6.0, y, (HPos::Right, VPos::Center), TEXT_SIZE, SOFT, false)?;
            }
            self.text(&axis.unit, MARGIN, plot.top - 8.0, (HPos::Left, VPos::Bottom), TEXT_SIZE, SOFT, false)?;
        }
        let axis = stroke(SOFT, 1.0);
        self.path([point(plot.left, plot.bottom), point(plot.right, plot.bottom)], axis)?;
        for (at, words) in time_ticks(plot.span.0, plot.span.1, plot.right - plot.left) {
            let x = plot.x(at);
            self.path([point(x, plot.bottom), point(x, plot.bottom + 4.0)], axis)?;
            // The first and the last label stay within the picture.
            let half = text_width(&words, TEXT_SIZE) / 2.0;
            let x = x.max(half + 2.0).min(plot.right + MARGIN - half);
            self.text(&words, x, plot.bottom + 7.0, (HPos::Center, VPos::Top), TEXT_SIZE, SOFT, false)?;
        }
        Ok(())
    }

    fn band(&self, plot: &Plot, band: &Band) -> Drawn {
        if band.to < plot.span.0 || band.from > plot.span.1 {
            return Ok(());
        }
        // Even the shortest is seen.
        let left = plot.x(band.from);
        let right = plot.x(band.to).max(left + 1.0);
        self.rectangle(left, plot.top, right, plot.bottom, band.class.color().mix(0.2))
    }

    fn line(&self, plot: &Plot, axis: &ValueAxis, line: &Line, scale: Scale) -> Drawn {
        let points: Vec<(Timestamp, Option<f64>)> = line
            .points
            .iter()
            .filter(|(at, _)| plot.holds(*at))
            .map(|&(at, value)| (at, placeable(value, scale)))
            .collect();
        #[expect(clippy::cast_possible_truncation, reason = "a picture has at most 4,000 columns")]
        let column = |at| plot.x(at).floor() as i64;
        let width = line.class.width();
        for piece in thin(&points, column) {
            if let [(at, value)] = piece[..] {
                let dot = ShapeStyle::from(line.class.color()).filled();
                let place = point(plot.x(at), plot.y(axis, value));
                self.area.draw(&Circle::new(place, units(width).unsigned_abs(), dot))?;
                continue;
            }
            let path = piece.into_iter().map(|(at, value)| point(plot.x(at), plot.y(axis, value)));
            self.path(path, stroke(line.class.color(), width))?;
        }
        Ok(())
    }

    /// A rule at each instant with its words to the right of it, or to the left where the next is too
    /// near; where both are, only the description has them.
    fn markers(&self, plot: &Plot, chart: &Chart) -> Drawn {
        let shown: Vec<(f64, &str)> = chart
            .markers
            .iter()
            .filter(|marker| plot.holds(marker.at))
            .map(|marker| (plot.x(marker.at), marker.label.as_str()))
            .collect();
        let mut taken_to = plot.left;
        for (place, &(x, label)) in shown.iter().enumerate() {
            self.path([point(x, plot.top), point(x, plot.bottom)], stroke(SOFT, 1.0))?;
            let width = text_width(label, TEXT_SIZE) + 8.0;
            let next = shown.get(place + 1).map_or(plot.right + MARGIN, |(next, _)| *next);
            let y = plot.top + 3.0;
            if x + width <= next {
                self.text(label, x + 4.0, y, (HPos::Left, VPos::Top), TEXT_SIZE, SOFT, false)?;
                taken_to = x + width;
            } else {
                if x - width >= taken_to {
                    self.text(label, x - 4.0, y, (HPos::Right, VPos::Top), TEXT_SIZE, SOFT, false)?;
                }
                taken_to = x;
            }
        }
        Ok(())
    }

    fn watermark(&self, plot: &Plot) -> Drawn {
        let (width, height) = (plot.right - plot.left, plot.bottom - plot.top);
        // Bold capitals are wider than other text: seven tenths of their size each.
        let size = (width / (9.0 * 0.75)).min(height * 0.6).floor();
        let middle = (f64::midpoint(plot.left, plot.right), f64::midpoint(plot.top, plot.bottom));
        self.tinted("SIMULATED", middle.0, middle.1, (HPos::Center, VPos::Center), size, ALARM.mix(0.16), true)
    }

    fn no_values(&self, plot: &Plot) -> Drawn {
        let middle = (f64::midpoint(plot.left, plot.right), f64::midpoint(plot.top, plot.bottom));
        self.text("no values in this range", middle.0, middle.1, (HPos::Center, VPos::Center), TITLE_SIZE, SOFT, false)
    }

    fn path(&self, points: impl IntoIterator<Item = (i32, i32)>, style: ShapeStyle) -> Drawn {
        self.area.draw(&PathElement::new(points.into_iter().collect::<Vec<_>>(), style))
    }

    fn rectangle(&self, left: f64, top: f64, right: f64, bottom: f64, color: RGBAColor) -> Drawn {
        self.area.draw(&Rectangle::new([point(left, top), point(right, bottom)], ShapeStyle::from(color).filled()))
    }

    #[expect(clippy::too_many_arguments, reason = "what a text is, one after the other")]
    fn text(&self, text: &str, x: f64, y: f64, anchor: (HPos, VPos), size: f64, color: RGBColor, bold: bool) -> Drawn {
        self.tinted(text, x, y, anchor, size, color.into(), bold)
    }

    #[expect(clippy::too_many_arguments, reason = "what a text is, one after the other")]
    fn tinted(
        &self,
        text: &str,
        x: f64,
        y: f64,
        (across, along): (HPos, VPos),
        size: f64,
        color: RGBAColor,
        bold: bool,
    ) -> Drawn {
        let font = (FONT, line_height(size * UNITS)).into_font();
        let font = if bold { font.style(FontStyle::Bold) } else { font };
        let style = TextStyle::from(font).color(&color).pos(Pos::new(across, along));
        self.area.draw(&Text::new(text, point(x, y), style))
    }
}

/// What the library is told so that it writes `size`: it divides by 1.24, the usual height of a line. Of
/// the neighbouring numbers the one that comes back without a rounding error.
fn line_height(size: f64) -> f64 {
    let height = size * 1.24;
    let near = [height, height.next_down(), height.next_up()];
    near.into_iter().find(|height| height / 1.24 == size).unwrap_or(height)
}

fn stroke(color: RGBColor, width: f64) -> ShapeStyle {
    ShapeStyle::from(color).stroke_width(units(width).unsigned_abs())
}

/// Lays the plot out below the header.
fn plot_of(chart: &Chart, header: f64, width: f64, height: f64) -> Plot {
    let instants = || chart.lines.iter().flat_map(|line| line.points.iter().map(|point| point.0));
    let of_lines = instants().min().zip(instants().max());
    let span = chart.span.or(of_lines).unwrap_or((Timestamp::MIN, Timestamp::MIN));
    let bottom = height - 28.0;
    // The unit stands above the plot.
    let top = (header + 28.0).min(bottom - 20.0);
    let inside = |at: Timestamp| span.0 <= at && at <= span.1;
    let values = || {
        let all = chart.lines.iter().flat_map(|line| values_of(line, chart.scale));
        all.filter(|point| inside(point.0)).map(|point| point.1)
    };
    let (least, greatest) = (values().min_by(f64::total_cmp), values().max_by(f64::total_cmp));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "2 to 40 ticks")]
    let ticks = ((bottom - top) / 44.0).clamp(2.0, 40.0) as usize;
    let values =
        least.zip(greatest).map(|(least, greatest)| ValueAxis::new(chart.scale, least, greatest, &chart.unit, ticks));
    let words = values.iter().flat_map(|axis| &axis.ticks).map(|(_, words)| text_width(words, TEXT_SIZE));
    let left = MARGIN + words.fold(16.0, f64::max) + 6.0;
    Plot { left, top, right: width - MARGIN - 4.0, bottom, span, values }
}

#[cfg(test)]
mod tests {
    use super::super::{Marker, STYLE, Size};
    use super::*;
    use crate::domain::time::Day;

    fn day(number: i32) -> Timestamp {
        Day::from_epoch_days(18_262 + number).start() // from 2020-01-01
    }

    fn line(values: &[Option<f64>]) -> Line {
        let points = (0..).zip(values).map(|(number, value)| (day(number), *value)).collect();
        Line { label: "price".to_owned(), points, class: LineClass::First }
    }

    fn chart(values: &[Option<f64>]) -> Chart {
        Chart {
            title: "price <of> a & b".to_owned(),
            unit: "USD".to_owned(),
            subtitle: vec!["Source one".to_owned()],
            simulated: false,
            lines: vec![line(values)],
            bands: Vec::new(),
            markers: Vec::new(),
            scale: Scale::Linear,
            span: None,
            size: Size::default(),
        }
    }

    fn count(svg: &str, part: &str) -> usize {
        svg.matches(part).count()
    }

    /// The points of the lines of values: pairs of units.
    fn paths(svg: &str) -> Vec<Vec<(i32, i32)>> {
        let of_line = |tag: &&str| tag.starts_with("<polyline") && tag.contains("#0A58CA");
        let read = |tag: &str| {
            let points = tag.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
            let pair =
                |pair: &str| pair.split_once(',').map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap())).unwrap();
            points.split_whitespace().map(pair).collect()
        };
        svg.lines().filter(of_line).map(read).collect()
    }

    #[test]
    fn it_says_what_it_is() {
        let svg = draw(&chart(&[Some(100.0), None, Some(300.0), Some(200.0)]), Some(STYLE)).unwrap();
        assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" role=\"img\""));
        assert!(svg.contains("width=\"960\" height=\"360\" viewBox=\"0 0 3840 1440\""));
        assert!(svg.contains(">price &lt;of&gt; a &amp; b, USD</title>"), "{svg}");
        assert!(svg.contains(
            "3 values from 2020-01-01 to 2020-01-04; first 100 USD, last 200 USD, \
             lowest 100 USD on 2020-01-01, highest 300 USD on 2020-01-03. Source one</desc>"
        ));
        assert!(svg.contains("prefers-color-scheme:dark") && svg.trim_end().ends_with("</svg>"));
        assert!(!svg.contains("SIMULATED"));
        let inline = draw(&chart(&[]), None).unwrap();
        assert!(inline.starts_with("<svg class=\"chart\"") && !inline.contains("<style"), "{inline}");
        assert!(draw(&chart(&[None]), None).unwrap().contains("no values in this range"));
    }

    #[test]
    fn the_same_chart_gives_the_same_bytes() {
        let one = chart(&[Some(1.0), Some(2.0)]);
        assert_eq!(draw(&one, Some(STYLE)).unwrap(), draw(&one.clone(), Some(STYLE)).unwrap());
    }

    #[test]
    fn holes_are_breaks() {
        let values = [Some(1.0), Some(2.0), None, Some(3.0), Some(f64::NAN), Some(2.0), Some(1.0)];
        let svg = draw(&chart(&values), None).unwrap();
        assert_eq!(paths(&svg).iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
        assert_eq!(count(&svg, "<circle"), 1, "a value between two holes is a dot");
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn values_stand_where_they_belong() {
        // The axis runs from 0 to 400 by hundreds, its foot 28 pixels above the edge.
        let svg = draw(&chart(&[Some(0.0), Some(400.0), Some(200.0)]), None).unwrap();
        let path = &paths(&svg)[0];
        assert_eq!(path[0].1, 4 * (360 - 28));
        assert!((2 * path[2].1 - (path[0].1 + path[1].1)).abs() <= 2, "{path:?}");
        assert!((2 * path[1].0 - (path[0].0 + path[2].0)).abs() <= 2, "{path:?}");
        assert_eq!(path[2].0, 4 * (960 - 16));
    }

    #[test]
    fn a_simulated_chart_says_so_in_large_letters() {
        let svg = draw(&Chart { simulated: true, ..chart(&[Some(1.0), Some(2.0)]) }, None).unwrap();
        assert!(svg.contains(">SIMULATED: price"));
        let mark =
            svg.lines().find(|tag| tag.contains("font-weight=\"bold\"") && tag.contains("opacity=\"0.16\"")).unwrap();
        let size = mark.split("font-size=\"").nth(1).unwrap().split('"').next().unwrap().parse::<f64>().unwrap();
        assert!(size / UNITS > 60.0, "{size}");
    }

    #[test]
    fn bands_and_markers_are_inside_and_explained() {
        let band =
            |from, to| Band { from: day(from), to: day(to), label: "squeeze".to_owned(), class: BandClass::Alarm };
        let picture = chart(&[Some(1.0); 40])
            .with_bands([band(-10, 5), band(20, 20), band(90, 99)])
            .with_markers([Marker { at: day(10), label: "halving".to_owned() }]);
        let svg = draw(&picture, None).unwrap();
        let bands: Vec<_> = svg.lines().filter(|tag| tag.starts_with("<rect") && tag.contains("#CF222E")).collect();
        assert_eq!(bands.len(), 3, "two in the plot, one in the legend: {bands:?}");
        assert_eq!(count(&svg, ">squeeze<"), 1);
        assert!(svg.contains(">halving<") && svg.contains("halving on 2020-01-11. "));
        assert!(svg.contains("squeeze from 2020-01-21 to 2020-01-21. "));
    }

    #[test]
    fn words_of_markers_avoid_the_next_marker() {
        let marker = |number| Marker { at: day(number), label: format!("event {number}") };
        // 40 days on some 900 pixels: a day is less wide than the words.
        let picture = chart(&[Some(1.0); 40]).with_markers([5, 6, 20, 21, 22, 30].map(marker));
        let svg = draw(&picture, None).unwrap();
        let anchor = |number: i32| {
            let tag = svg.lines().find(|tag| tag.contains(&format!(">event {number}<")))?;
            tag.split("text-anchor=\"").nth(1)?.split('"').next()
        };
        let anchors = [5, 6, 20, 21, 22, 30].map(anchor);
        assert_eq!(anchors, [Some("end"), Some("start"), Some("end"), None, Some("start"), Some("start")]);
        assert!(svg.contains("event 21 on 2020-01-22. "), "the description has them all");
    }

    #[test]
    fn long_series_are_thinned_and_keep_their_extremes() {
        let mut values: Vec<Option<f64>> = (0..50_000).map(|number| Some(f64::from(number % 100))).collect();
        values[31_337] = Some(1_000.0);
        let svg = draw(&chart(&values), None).unwrap();
        let path = &paths(&svg)[0];
        assert!(path.len() < 4 * 960, "{} points", path.len());
        // The highest value is the end of the axis.
        assert!(svg.contains("highest 1,000 USD on 2105-10-19"), "{svg}");
        let top = path.iter().map(|point| point.1).min().unwrap();
        assert_eq!(path.iter().filter(|point| point.1 == top).count(), 1);
        assert!(svg.len() < 100_000);
    }

    #[test]
    fn every_size_holds_the_words() {
        for (width, height) in [(200, 120), (390, 260), (4_000, 3_000)] {
            let picture = Chart {
                simulated: true,
                subtitle: vec!["Source a, b, c · observed until 2024-11-24".to_owned(); 3],
                ..chart(&[Some(1e5), Some(2e5)])
            };
            let svg = draw(&picture.with_size(Size::new(width, height)), None).unwrap();
            for tag in svg.lines().filter(|tag| tag.starts_with("<text")) {
                let number = |name: &str| {
                    tag.split(&format!(" {name}=\"")).nth(1).unwrap().split('"').next().unwrap().parse::<f64>().unwrap()
                };
                let words = tag.split('>').nth(1).unwrap().split('<').next().unwrap();
                let words = words.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
                let long = text_width(&words, number("font-size") / UNITS) * UNITS;
                let left = match () {
                    () if tag.contains("\"end\"") => number("x") - long,
                    () if tag.contains("\"middle\"") => number("x") - long / 2.0,
                    () => number("x"),
                };
                assert!(left >= -1.0 && left + long <= UNITS * f64::from(width) + 1.0, "{width}: {tag}");
            }
        }
    }
}
