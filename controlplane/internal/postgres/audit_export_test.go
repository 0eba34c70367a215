package postgres

// EventsSQL is what a query of events is asked with, for its plan to be looked at.
var EventsSQL = eventsSQL
