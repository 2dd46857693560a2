//! Transports and the driver.
