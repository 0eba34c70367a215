package config

import (
	"regexp"
	"slices"
	"strings"
)

const (
	fileSuffix = "_FILE"
	ownPrefix  = "LATCHKEY_"
)

// gatewayNames are the gateway plugin's own variables: on a machine that runs
// both programs they are no typing errors.
var gatewayNames = []string{
	"LATCHKEY_URL", "LATCHKEY_ALLOW_HTTP", "LATCHKEY_CA", "LATCHKEY_EDGE_TOKEN", "LATCHKEY_GATEWAY_NAME",
	"LATCHKEY_MAX_STALE", "LATCHKEY_CONFIG", "LATCHKEY_SNAPSHOT", "LATCHKEY_METRICS_LISTEN", "LATCHKEY_PG_BIN",
}

// serviceLink matches what Kubernetes puts into every container of a namespace
// that has a Service whose name begins with latchkey, such as
// LATCHKEY_PORT_8080_TCP_ADDR and LATCHKEY_OPS_SERVICE_HOST.
var serviceLink = regexp.MustCompile(`^LATCHKEY_([A-Z0-9_]+_)?(SERVICE_HOST|(SERVICE_)?PORT(_[A-Z0-9_]+)?)$`)

// resolve picks the variables of Config out of an environment, reads those
// that name a file, and notes what cannot be meant: both forms at once, a file
// that cannot be read, a LATCHKEY_ variable that nobody knows. A variable whose
// file could not be read is in the result, empty: it was given.
func resolve(environ []string, readFile func(string) ([]byte, error), faults *Faults) map[string]string {
	all := map[string]string{}
	for _, entry := range environ {
		if name, value, _ := strings.Cut(entry, "="); value != "" {
			all[name] = value
		}
	}
	known := names()
	values := map[string]string{}
	for _, name := range known {
		value, path := all[name], all[name+fileSuffix]
		if path != "" && value != "" {
			faults.add(name, "want either this or %s%s, not both", name, fileSuffix)
		} else if path != "" {
			value = fromFile(name, path, readFile, faults)
		}
		if value != "" || path != "" {
			values[name] = value
		}
	}
	for name := range all {
		if strings.HasPrefix(name, ownPrefix) && !knows(known, name) {
			faults.add(name, "want a variable that there is; the nearest is %s", nearest(known, name))
		}
	}
	return values
}

// fromFile reads a value and trims the one newline that editors and shells add.
func fromFile(name, path string, readFile func(string) ([]byte, error), faults *Faults) string {
	content, err := readFile(path)
	if err != nil {
		// The path is left out: who writes the secret itself into NAME_FILE
		// would see it in the log.
		faults.add(name+fileSuffix, "want the path of a file that this process can read")
		return ""
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	if value == "" {
		faults.add(name+fileSuffix, "want a file that is not empty")
	}
	return value
}

func knows(known []string, name string) bool {
	bare := strings.TrimSuffix(name, fileSuffix)
	return slices.Contains(known, bare) || slices.Contains(gatewayNames, bare) ||
		strings.HasPrefix(name, "LATCHKEY_TEST_") || serviceLink.MatchString(name)
}

// nearest returns the known name with the fewest edits to name.
func nearest(known []string, name string) string {
	return slices.MinFunc(known, func(a, b string) int { return edits(a, name) - edits(b, name) })
}

// edits is the Levenshtein distance of two texts, in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
