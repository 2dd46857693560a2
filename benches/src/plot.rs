//! Pictures of figures, as SVG: how times are distributed, how throughputs compare, what grows with what.

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use serde_json::{Value, json};

use crate::stats::Samples;

const SIZE: (u32, u32) = (760, 400);
const FONT: (&str, i32) = ("sans-serif", 14);
/// Told apart without red and green (Okabe, Ito 2008).
const COLORS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
    RGBColor(150, 150, 150),
];

/// One picture.
#[derive(Debug, Clone)]
pub(crate) struct Plot {
    /// Of the file, without its ending.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// What the values are, as `ms`.
    pub(crate) unit: &'static str,
    pub(crate) kind: Kind,
}

/// How it is drawn.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// For each value, the share of runs that took no longer.
    Distribution(Vec<(String, Samples)>),
    /// A bar for each median, with the least and the most.
    Bars(Vec<(String, Samples)>),
    /// What each costs as the work grows: both axes by powers.
    Growth {
        of: &'static str,
        lines: Vec<(String, Vec<(f64, f64)>)>,
    },
}

impl Plot {
    /// What is drawn, for programs: the samples in short, the points whole.
    pub(crate) fn json(&self) -> Value {
        let series = match &self.kind {
            Kind::Distribution(all) | Kind::Bars(all) => all
                .iter()
                .map(|(name, it)| {
                    json!({
                        "name": name, "runs": it.len(), "min": it.min(), "p50": it.median(),
                        "p99": it.quantile(0.99), "max": it.max(),
                    })
                })
                .collect::<Vec<_>>(),
            Kind::Growth { lines, .. } => lines
                .iter()
                .map(|(name, points)| json!({ "name": name, "points": points }))
                .collect(),
        };
        let of = match &self.kind {
            Kind::Growth { of, .. } => Some(*of),
            _ => None,
        };
        json!({ "plot": self.name, "title": self.title, "unit": self.unit, "by": of, "series": series })
    }

    /// # Errors
    /// It cannot be drawn.
    pub(crate) fn svg(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        {
            let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
            area.fill(&WHITE).map_err(drawn)?;
            match &self.kind {
                Kind::Distribution(all) => self.distribution(&area, all)?,
                Kind::Bars(all) => self.bars(&area, all)?,
                Kind::Growth { of, lines } => self.growth(&area, of, lines)?,
            }
            area.present().map_err(drawn)?;
        }
        Ok(text)
    }

    fn distribution(&self, area: &Area<'_>, all: &[(String, Samples)]) -> anyhow::Result<()> {
        let values = all.iter().flat_map(|(_, it)| [it.min(), it.max()]);
        let lines = all.iter().map(|(name, it)| {
            let shares = (0..=200).map(|step| f64::from(step) / 200.0);
            let points = shares.map(|share| (it.quantile(share), share * 100.0));
            (name.clone(), points.collect())
        });
        let lines: Vec<_> = lines.collect();
        self.lines(
            area,
            (bounds(values), self.unit),
            (0.0..100.0, "% of runs"),
            &lines,
        )
    }

    fn growth(
        &self,
        area: &Area<'_>,
        of: &str,
        lines: &[(String, Vec<(f64, f64)>)],
    ) -> anyhow::Result<()> {
        let points = || lines.iter().flat_map(|(_, points)| points);
        let across = bounds(points().map(|point| point.0));
        let up = bounds(points().map(|point| point.1));
        self.lines(area, (across, of), (up.log_scale(), self.unit), lines)
    }

    fn lines<Y>(
        &self,
        area: &Area<'_>,
        (across, of): (std::ops::Range<f64>, &str),
        (up, unit): (Y, &str),
        lines: &[(String, Vec<(f64, f64)>)],
    ) -> anyhow::Result<()>
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: ValueFormatter<f64>,
    {
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, ("sans-serif", 18))
            .margin(14)
            .x_label_area_size(44)
            .y_label_area_size(58)
            .build_cartesian_2d(across.log_scale(), up)
            .map_err(drawn)?;
        let mut mesh = chart.configure_mesh();
        mesh.x_desc(of)
            .y_desc(unit)
            .label_style(FONT)
            .light_line_style(WHITE);
        mesh.draw().map_err(drawn)?;
        for (index, (name, points)) in lines.iter().enumerate() {
            let color = COLORS[index % COLORS.len()];
            let style = color.stroke_width(2);
            chart
                .draw_series(LineSeries::new(points.iter().copied(), style))
                .map_err(drawn)?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .label_font(FONT)
            .draw()
            .map_err(drawn)
    }

    fn bars(&self, area: &Area<'_>, all: &[(String, Samples)]) -> anyhow::Result<()> {
        let most = all.iter().map(|(_, it)| it.max()).fold(0.0, f64::max);
        let count = all.len() as f64;
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, ("sans-serif", 18))
            .margin(14)
            .x_label_area_size(44)
            .y_label_area_size(8)
            .build_cartesian_2d(0.0..most * 1.05, 0.0..count)
            .map_err(drawn)?;
        let mut mesh = chart.configure_mesh();
        mesh.x_desc(self.unit)
            .label_style(FONT)
            .disable_y_mesh()
            .disable_y_axis();
        mesh.draw().map_err(drawn)?;
        for (index, (name, it)) in all.iter().enumerate() {
            let (color, low) = (COLORS[index % COLORS.len()], count - index as f64 - 1.0);
            let bar = Rectangle::new(
                [(0.0, low + 0.1), (it.median(), low + 0.55)],
                color.mix(0.75).filled(),
            );
            let spread = PathElement::new(
                [(it.min(), low + 0.32), (it.max(), low + 0.32)],
                BLACK.stroke_width(1),
            );
            let name = format!("{name}: {:.2}", it.median());
            let text = Text::new(name, (most * 0.005, low + 0.9), FONT);
            chart.draw_series([bar]).map_err(drawn)?;
            chart.draw_series([spread]).map_err(drawn)?;
            chart.draw_series([text]).map_err(drawn)?;
        }
        Ok(())
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The library's errors borrow what is drawn on.
fn drawn(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow::anyhow!("cannot draw: {error}")
}

/// For a scale by powers: a little more than all of them.
fn bounds(values: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
    let (low, high) = values
        .filter(|value| value.is_finite() && *value > 0.0)
        .fold((f64::MAX, 0.0_f64), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    match low <= high {
        true => low * 0.9..high * 1.1,
        false => 0.1..1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(kind: Kind) -> Plot {
        Plot {
            name: "x",
            title: "A title",
            unit: "ms",
            kind,
        }
    }

    #[test]
    fn each_kind_is_drawn_with_its_names_and_told_to_programs() {
        let samples: Samples = [1.0, 2.0, 4.0].into_iter().collect();
        let named = vec![("ours".to_owned(), samples)];
        let line = vec![("ours".to_owned(), vec![(1.0, 2.0), (10.0, 3.0)])];
        for kind in [
            Kind::Distribution(named.clone()),
            Kind::Bars(named),
            Kind::Growth {
                of: "hosts",
                lines: line,
            },
        ] {
            let plot = plot(kind);
            let svg = plot.svg().unwrap();
            assert!(svg.starts_with("<svg") && svg.contains("A title"), "{svg}");
            assert!(svg.contains("ours"), "{svg}");
            assert_eq!(plot.json()["series"][0]["name"], "ours");
        }
        let median = plot(Kind::Bars(vec![("a".into(), [3.0].into_iter().collect())])).json();
        assert_eq!(median["series"][0]["p50"], 3.0);
    }

    #[test]
    fn nothing_measured_is_no_picture_of_nonsense() {
        assert_eq!(bounds([f64::NAN, 0.0].into_iter()), 0.1..1.0);
        plot(Kind::Growth {
            of: "n",
            lines: Vec::new(),
        })
        .svg()
        .unwrap();
    }
}
