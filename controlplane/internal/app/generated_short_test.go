//go:build !long

package app_test

// generatedRounds is how many generated requests each operation is sent.
const generatedRounds = 10

// crowdActs is how often each of a crowd acts before a replica is killed and
// after it, crowdReads how many lists each reader follows meanwhile.
const (
	crowdActs  = 70
	crowdReads = 14
)
