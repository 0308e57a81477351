//! Charts: a picture of values over time, as SVG that stands alone or in a page.
//!
//! A [`Chart`] says what is shown; `draw` lays it out and draws it, [`scale`] chooses the ticks and
//! their words, `thin` leaves out points that no pixel shows. Endpoints make charts, and the form
//! `.svg` and the pages show them. The same chart gives the same bytes.
//!
//! Colours are CSS variables, `--chart-ink` and so on, light and dark: see `chart.css`. Shapes have the
//! light colours as attributes as well, for readers of SVG that know no CSS.

mod draw;
pub mod scale;
mod thin;

use super::params::Params;
use super::problem::Problem;
use super::v1::shapes::Meta;
use super::view::{Knowledge, View};
use crate::domain::time::Timestamp;

/// The rules that make colours of the light attributes; part of every chart that stands alone, and of
/// the stylesheet of the pages.
pub const STYLE: &str = include_str!("chart.css");

/// The parameters that only a chart takes.
pub const SIZE_PARAMS: [&str; 2] = ["width", "height"];

/// Bounds of the parameters, in pixels.
const WIDTHS: std::ops::RangeInclusive<i64> = 200..=4_000;
const HEIGHTS: std::ops::RangeInclusive<i64> = 120..=3_000;

/// What a picture shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    pub title: String,
    /// The unit of all values, as in the catalog: `USD/PH/day`; `1` for pure numbers.
    pub unit: String,
    /// Lines under the title: source, observed until, known as of.
    pub subtitle: Vec<String>,
    /// Written across the picture, so that nobody takes it for real.
    pub simulated: bool,
    pub lines: Vec<Line>,
    pub bands: Vec<Band>,
    pub markers: Vec<Marker>,
    pub scale: Scale,
    /// The stretch of time that is shown; that of the lines where it is not given.
    pub span: Option<(Timestamp, Timestamp)>,
    pub size: Size,
}

/// One series of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub label: String,
    /// Ascending in time. `None` is a hole: the line breaks there and goes on behind it.
    pub points: Vec<(Timestamp, Option<f64>)>,
    pub class: LineClass,
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineClass {
    First,
    Second,
    Third,
    /// Thin and soft: a threshold, an average in the background.
    Reference,
}

/// A shaded stretch of time, `[from, to)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Band {
    pub from: Timestamp,
    pub to: Timestamp,
    /// What it stands for; bands with the same label have one place in the legend.
    pub label: String,
    pub class: BandClass,
}

/// How a band looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BandClass {
    /// Something is wrong, such as a squeeze.
    Alarm,
    /// Something may come to be wrong.
    Caution,
    Neutral,
}

/// An instant with a word to it: a halving, a retarget, an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    pub at: Timestamp,
    pub label: String,
}

/// How values are spread over the height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    Linear,
    /// Equal factors are equal distances. Values of zero and below have no place and are holes.
    Log,
}

/// Width and height in CSS pixels, within the bounds that a client may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    width: u32,
    height: u32,
}

impl Default for Size {
    fn default() -> Self {
        Self { width: 960, height: 360 }
    }
}

impl Size {
    /// A size, brought within the bounds.
    #[must_use]
    pub fn new(width: u32, height: u32) -> Self {
        let within = |value: u32, bounds: &std::ops::RangeInclusive<i64>| {
            u32::try_from(i64::from(value).clamp(*bounds.start(), *bounds.end())).unwrap_or(value)
        };
        Self { width: within(width, &WIDTHS), height: within(height, &HEIGHTS) }
    }

    /// The size that the parameters `width` and `height` ask for; 960 by 360 without them.
    ///
    /// # Errors
    /// 400 for what is no whole number of pixels or out of bounds.
    pub fn of(params: &Params) -> Result<Self, Problem> {
        let default = Self::default();
        let pixels = |name, bounds, default| {
            let given = params.whole_number(name, bounds)?;
            Ok::<u32, Problem>(given.and_then(|value| u32::try_from(value).ok()).unwrap_or(default))
        };
        Ok(Self { width: pixels("width", WIDTHS, default.width)?, height: pixels("height", HEIGHTS, default.height)? })
    }

    #[must_use]
    pub const fn width(self) -> u32 {
        self.width
    }

    #[must_use]
    pub const fn height(self) -> u32 {
        self.height
    }
}

impl Line {
    /// A line of periods, each `(start, end, value)`, ascending. Where a period does not begin at the
    /// end of the one before it, there is a hole.
    #[must_use]
    pub fn of_periods(
        label: &str,
        class: LineClass,
        periods: impl Iterator<Item = (Timestamp, Timestamp, Option<f64>)>,
    ) -> Self {
        let mut points = Vec::with_capacity(periods.size_hint().0);
        let mut expected: Option<Timestamp> = None;
        for (start, end, value) in periods {
            if let Some(missing) = expected.filter(|&expected| expected < start) {
                points.push((missing, None));
            }
            points.push((start, value));
            expected = Some(end);
        }
        Self { label: label.to_owned(), points, class }
    }
}

impl Chart {
    /// A chart without lines yet, whose unit and captions are those of an answer.
    #[must_use]
    pub fn about(title: &str, meta: &Meta, view: &View) -> Self {
        Self {
            title: title.to_owned(),
            unit: meta.unit.unwrap_or("1").to_owned(),
            subtitle: captions(meta, view),
            simulated: meta.simulated,
            lines: Vec::new(),
            bands: Vec::new(),
            markers: Vec::new(),
            scale: Scale::Linear,
            span: None,
            size: Size::default(),
        }
    }

    #[must_use]
    pub fn with_line(mut self, line: Line) -> Self {
        self.lines.push(line);
        self
    }

    #[must_use]
    pub fn with_bands(mut self, bands: impl IntoIterator<Item = Band>) -> Self {
        self.bands.extend(bands);
        self
    }

    #[must_use]
    pub fn with_markers(mut self, markers: impl IntoIterator<Item = Marker>) -> Self {
        self.markers.extend(markers);
        self
    }

    /// Shows the whole stretch from `start` on, though it may have no values at its ends: to `end`, or to
    /// the moment of the view, which knows nothing of later. Without `start` that of the lines.
    #[must_use]
    pub fn with_span(mut self, start: Option<Timestamp>, end: Option<Timestamp>, view: &View) -> Self {
        let last = end.map_or(view.moment.at, |end| end.min(view.moment.at));
        self.span = start.map(|start| (start, last)).filter(|(start, last)| start < last);
        self
    }

    #[must_use]
    pub const fn with_size(mut self, size: Size) -> Self {
        self.size = size;
        self
    }

    /// The picture as a document of its own, with its style.
    ///
    /// # Errors
    /// 500 when it cannot be drawn, which drawing into memory does not do.
    pub fn svg(&self) -> Result<String, Problem> {
        draw::draw(self, Some(STYLE)).map_err(|error| Problem::internal(&error))
    }

    /// The picture as a part of a page whose stylesheet has [`STYLE`].
    ///
    /// # Errors
    /// As [`Chart::svg`].
    pub fn inline(&self) -> Result<String, Problem> {
        draw::draw(self, None).map_err(|error| Problem::internal(&error))
    }
}

/// Where the values come from and how they were known, a sentence a line.
fn captions(meta: &Meta, view: &View) -> Vec<String> {
    let sources = if meta.sources.is_empty() { "none".to_owned() } else { meta.sources.join(", ") };
    let observed = meta.observed_until.map_or_else(|| "never".to_owned(), |at| say_instant(at.0));
    let stale = match meta.valid_until {
        _ if !meta.stale => String::new(),
        Some(at) => format!(" · STALE since {}", say_instant(at.0)),
        None => " · STALE".to_owned(),
    };
    let known = match view.knowledge {
        Knowledge::Recorded => "As recorded here at",
        Knowledge::Latest | Knowledge::Hindsight | Knowledge::AsOf => "Known as of",
    };
    let moment = view.moment;
    vec![
        format!("Source {sources} · observed until {observed}{stale}"),
        format!("{known} {} · snapshot {}", say_instant(moment.at), moment.batch),
    ]
}

/// An instant, as its date alone where it is a day's beginning.
fn say_instant(at: Timestamp) -> String {
    if at.is_midnight() { at.day().to_string() } else { at.to_string() }
}
