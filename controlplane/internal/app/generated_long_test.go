//go:build long

package app_test

// generatedRounds is how many generated requests each operation is sent.
const generatedRounds = 500
