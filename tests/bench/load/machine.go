package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// Of /proc: Linux counts there in hundredths of a second, whatever its own clock.
const ticksPerSecond = 100

// CPU seconds used so far, at one moment.
type reading struct {
	at      time.Time
	machine float64 // by everything
	stolen  float64 // by other machines of the same host
	servers float64
	own     float64
	rssMB   float64 // of the servers, at this moment
}

// What lies between two readings.
type cost struct {
	ServerCPU            float64 `json:"server_cpu_s"`
	ServerCPUPerThousand float64 `json:"server_cpu_s_per_1k"`
	LoadCPUPerThousand   float64 `json:"load_cpu_s_per_1k"`
	ServerMB             float64 `json:"server_rss_mb"`
	OtherCores           float64 `json:"other_cores"` // used by neither servers nor this process
	StolenCores          float64 `json:"stolen_cores"`
}

func costOf(before, after reading, operations int64) cost {
	elapsed := after.at.Sub(before.at).Seconds()
	servers, own := after.servers-before.servers, after.own-before.own
	spent := cost{ServerCPU: servers, ServerMB: after.rssMB}
	if operations > 0 {
		spent.ServerCPUPerThousand = servers * 1000 / float64(operations)
		spent.LoadCPUPerThousand = own * 1000 / float64(operations)
	}
	if elapsed > 0 {
		spent.OtherCores = (after.machine - before.machine - servers - own) / elapsed
		spent.StolenCores = (after.stolen - before.stolen) / elapsed
	}
	return spent
}

// A server that is not there counts as nothing; its requests fail anyway.
func readMachine(pids []int) reading {
	var now reading
	now.machine, now.stolen = machineCPU()
	for _, pid := range pids {
		cpu, rssMB := processCPU(pid)
		now.servers += cpu
		now.rssMB += rssMB
	}
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) == nil {
		now.own = time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
	}
	now.at = time.Now()
	return now
}

func machineCPU() (busy, stolen float64) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0
	}
	var user, nice, system, idle, iowait, irq, softirq, steal float64
	_, err = fmt.Sscanf(string(text), "cpu %g %g %g %g %g %g %g %g", &user, &nice, &system, &idle,
		&iowait, &irq, &softirq, &steal)
	if err != nil {
		return 0, 0
	}
	return (user + nice + system + irq + softirq) / ticksPerSecond, steal / ticksPerSecond
}

func processCPU(pid int) (cpu, rssMB float64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0
	}
	// The second field is the program's name in parentheses, which may hold anything.
	rest := string(text)[strings.LastIndexByte(string(text), ')')+1:]
	fields := strings.Fields(rest) // from the third field on
	if len(fields) < 22 {
		return 0, 0
	}
	var user, system, pages float64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12]+" "+fields[21], &user, &system, &pages); err != nil {
		return 0, 0
	}
	return (user + system) / ticksPerSecond, pages * float64(os.Getpagesize()) / (1 << 20)
}
