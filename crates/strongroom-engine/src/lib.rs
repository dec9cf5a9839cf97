//! strongroom-engine
