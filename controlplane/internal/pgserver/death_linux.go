package pgserver

import "syscall"

// endWithParent asks for a fast shutdown should this program be killed; launch
// says why that is sound here. A server that outlives it all the same, and any
// on other systems, is stopped by the next owner.
func endWithParent(attributes *syscall.SysProcAttr) { attributes.Pdeathsig = syscall.SIGINT }
