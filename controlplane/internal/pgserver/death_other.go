//go:build !linux

package pgserver

import "syscall"

// endWithParent has no counterpart here: the next owner stops what is left.
func endWithParent(*syscall.SysProcAttr) {}
