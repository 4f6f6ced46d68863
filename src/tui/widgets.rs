//! The parts that screens are made of. They know the theme and plain numbers, not jobs or decisions.
//!
//! Each draws straight into the buffer, inside the area it is given and nowhere else, at any size down to nothing. What stands
//! beside a colour is always a shape or a word.

pub mod ascii;
pub mod bars;
pub mod breadcrumbs;
pub mod chart;
pub mod graph;
pub mod pane;
pub mod sheet;
pub mod sparkline;
pub mod table;
pub mod text;
pub mod tree;
