#!/bin/bash
# Trains on Slurm with a process for each GPU, and goes on after the time limit, preemption and the loss of a node.
#
# Command: sbatch configs/cluster/slurm.sh CONFIG [--set Name.field=value]...
# Before:  baichuan-jax data CONFIG, then baichuan-jax tokenizer CONFIG, once, on one machine.
#
# Submit from the checkout. RunConfig.workdir must lie where every node sees it; a node that does not ends the job. JAX reads from Slurm who the processes
# are. Keep MeshConfig.fsdp within a node (8) and let MeshConfig.data cross nodes.
#SBATCH --job-name=baichuan-jax
#SBATCH --nodes=16
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=12
#SBATCH --time=24:00:00
#SBATCH --output=slurm-%j.out
#SBATCH --open-mode=append
#SBATCH --requeue
# Five minutes before the limit every process is asked to stop: training writes a checkpoint and ends with 130.
#SBATCH --signal=TERM@300
set -u

source .venv/bin/activate
# Since Slurm 22.05 srun does not take this over from the job: a process would be bound to one core.
export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}
code=0
srun --wait=150 baichuan-jax train "$@" || code=$?

# Stopped (130, 143), a process, host or storage that did not answer (75, 134), a node lost (137): again from the last
# checkpoint. A mistake (2) or a bug (1) is not.
case $code in
    75 | 130 | 134 | 137 | 143)
        [ "${SLURM_RESTART_COUNT:-0}" -lt 50 ] && scontrol requeue "$SLURM_JOB_ID" ;;
esac
exit $code
