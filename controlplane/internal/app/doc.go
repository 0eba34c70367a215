// Package app wires the control plane and owns its life. It is the only package
// that imports all others.
//
//	OpenCore   database ─► migrations ─► peppers, prefixes ─► domains      (every command)
//	New        Core ─► validator ◄── Follower ─► mux ─► listeners          (serve)
//	Run        serves until its context ends, then lets requests finish
//	Close      undoes what was acquired, last in first out
//
// Invariant: what New acquired, Close gives back, also where New failed half-way.
package app
