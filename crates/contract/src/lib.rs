//! Ids, commands, events and views.
