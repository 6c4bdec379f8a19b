// load puts one load on the members of an etcd-v3 cluster and says what it cost.
//
// It reads one job (a JSON object, see job.go) from its input and prints one result (result.go) as a
// line of JSON. A job that cannot be done ends the process with a line on stderr and status 1; an
// operation that fails is counted in the result instead.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

func fail(format string, arguments ...interface{}) {
	fmt.Fprintf(os.Stderr, "load: "+format+"\n", arguments...)
	os.Exit(1)
}

func print(line interface{}) {
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		fail("%v", err)
	}
}

func main() {
	work, err := readJob(os.Stdin)
	if err != nil {
		fail("%v", err)
	}
	// Whatever a server does, this process ends.
	time.AfterFunc(seconds(work.LimitSeconds), func() {
		fail("%s took longer than %g s", work.Kind, work.LimitSeconds)
	})
	done, err := run(work)
	if err != nil {
		fail("%s: %v", work.Kind, err)
	}
	print(done)
}

func run(work *job) (*result, error) {
	switch work.Kind {
	case "fill", "put", "get", "serializable-get", "cas", "range", "open-range", "lease-grant",
		"keep-alive":
		return runLoop(work)
	case "watch":
		return runWatch(work)
	case "gaps":
		return runGaps(work)
	case "first":
		return runFirst(work)
	case "status":
		return runStatus(work)
	case "maintenance":
		return runMaintenance(work)
	}
	return nil, fmt.Errorf("there is no such kind of job")
}
