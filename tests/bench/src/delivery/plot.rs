//! A picture of what a delivery costs, as the backlog, the handlers and the types grow.
//!
//! In: `{"panels": [{"title", "unit", "series": [{"name", "points": [[x, y], …]}]}]}` on standard input. Out: a PNG.

use std::convert::Infallible;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context as _, Result};
use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::ascii::{FONT_7X13, FONT_9X15_BOLD};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{Circle, Line, PrimitiveStyle, Rectangle};
use embedded_graphics::text::{Alignment, Text};
use serde::Deserialize;

const PANEL: Size = Size::new(440, 360);
/// Room around the axes of a panel.
const LEFT: i32 = 64;
const RIGHT: i32 = 20;
const TOP: i32 = 64;
const BOTTOM: i32 = 44;
const INK: Rgb888 = Rgb888::new(40, 40, 40);
const GRID: Rgb888 = Rgb888::new(225, 225, 225);
const COLOURS: [Rgb888; 3] = [
    Rgb888::new(31, 119, 180),
    Rgb888::new(214, 39, 40),
    Rgb888::new(44, 160, 44),
];

#[derive(Debug, Deserialize)]
pub(crate) struct Picture {
    panels: Vec<Panel>,
}

#[derive(Debug, Deserialize)]
struct Panel {
    title: String,
    unit: String,
    series: Vec<Series>,
}

#[derive(Debug, Deserialize)]
struct Series {
    name: String,
    points: Vec<(f64, f64)>,
}

/// Pixels in memory.
struct Canvas {
    size: Size,
    pixels: Vec<u8>,
}

/// Draws what is described on standard input.
pub(crate) fn draw(into: &Path) -> Result<()> {
    let picture: Picture = serde_json::from_reader(std::io::stdin())?;
    let panels = u32::try_from(picture.panels.len())?;
    let size = Size::new(PANEL.width * panels, PANEL.height);
    let mut canvas = Canvas {
        size,
        pixels: vec![255; (size.width * size.height * 3) as usize],
    };
    for (number, panel) in (0..).zip(&picture.panels) {
        let corner = Point::new(number * PANEL.width.cast_signed(), 0);
        panel.draw(&mut canvas, corner);
    }
    let file =
        File::create(into).with_context(|| format!("failed to make `{}`", into.display()))?;
    let mut encoder = png::Encoder::new(BufWriter::new(file), size.width, size.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&canvas.pixels)?;
    Ok(())
}

impl Panel {
    fn draw(&self, canvas: &mut Canvas, corner: Point) {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let highest = points().map(|point| point.1).fold(1.0, f64::max) * 1.15;
        let first = points().map(|point| point.0).fold(f64::MAX, f64::min);
        let last = points().map(|point| point.0).fold(first * 10.0, f64::max);
        let (width, height) = (PANEL.width.cast_signed(), PANEL.height.cast_signed());
        let at = |(x, y): (f64, f64)| {
            // The first axis is logarithmic.
            let along = (x.max(first) / first).ln() / (last / first).ln();
            let across = f64::from(width - LEFT - RIGHT) * along;
            let up = f64::from(height - TOP - BOTTOM) * y / highest;
            corner + Point::new(LEFT + rounded(across), height - BOTTOM - rounded(up))
        };
        let bold = MonoTextStyle::new(&FONT_9X15_BOLD, INK);
        let small = MonoTextStyle::new(&FONT_7X13, INK);
        text(
            canvas,
            &self.title,
            corner + Point::new(LEFT, 22),
            bold,
            Alignment::Left,
        );
        for step in 0..=4 {
            let y = highest * f64::from(step) / 4.0;
            line(canvas, at((first, y)), at((last, y)), GRID, 1);
            let beside = at((first, y)) + Point::new(-6, 4);
            text(canvas, &format!("{y:.0}"), beside, small, Alignment::Right);
        }
        let mut marks: Vec<f64> = points().map(|point| point.0).collect();
        marks.sort_unstable_by(f64::total_cmp);
        marks.dedup();
        for x in marks {
            let below = at((x, 0.0)) + Point::new(0, 18);
            text(canvas, &short(x), below, small, Alignment::Center);
        }
        let middle = corner + Point::new(LEFT + (width - LEFT - RIGHT) / 2, height - 8);
        text(canvas, &self.unit, middle, small, Alignment::Center);
        line(canvas, at((first, 0.0)), at((last, 0.0)), INK, 1);
        line(canvas, at((first, 0.0)), at((first, highest)), INK, 1);
        for (number, series) in self.series.iter().enumerate() {
            let colour = COLOURS[number % COLOURS.len()];
            for pair in series.points.windows(2) {
                line(canvas, at(pair[0]), at(pair[1]), colour, 2);
            }
            for point in &series.points {
                let dot = Circle::with_center(at(*point), 7);
                done(
                    dot.into_styled(PrimitiveStyle::with_fill(colour))
                        .draw(canvas),
                );
            }
            let legend = corner + Point::new(LEFT + 150 * i32::try_from(number).unwrap_or(0), 44);
            let style = MonoTextStyle::new(&FONT_7X13, colour);
            text(canvas, &series.name, legend, style, Alignment::Left);
        }
    }
}

fn text(
    canvas: &mut Canvas,
    words: &str,
    at: Point,
    style: MonoTextStyle<'_, Rgb888>,
    alignment: Alignment,
) {
    let drawn = Text::with_alignment(words, at, style, alignment).draw(canvas);
    done(drawn.map(|_| ()));
}

fn line(canvas: &mut Canvas, from: Point, to: Point, colour: Rgb888, width: u32) {
    let style = PrimitiveStyle::with_stroke(colour, width);
    done(Line::new(from, to).into_styled(style).draw(canvas));
}

/// Drawing into memory cannot fail.
fn done(drawn: Result<(), Infallible>) {
    let Ok(()) = drawn;
}

#[expect(clippy::cast_possible_truncation, reason = "a pixel is a whole number")]
fn rounded(length: f64) -> i32 {
    length.round() as i32
}

/// `1000000` as `1M`.
fn short(x: f64) -> String {
    match x {
        x if x >= 1e6 => format!("{}M", x / 1e6),
        x if x >= 1e3 => format!("{}k", x / 1e3),
        x => x.to_string(),
    }
}

// === impl Canvas ===

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        self.size
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(
        &mut self,
        pixels: I,
    ) -> Result<(), Infallible> {
        let whole = Rectangle::new(Point::zero(), self.size);
        for Pixel(at, colour) in pixels {
            if whole.contains(at) {
                let place = (at.y.unsigned_abs() * self.size.width + at.x.unsigned_abs()) as usize;
                self.pixels[place * 3..][..3].copy_from_slice(&[
                    colour.r(),
                    colour.g(),
                    colour.b(),
                ]);
            }
        }
        Ok(())
    }
}
