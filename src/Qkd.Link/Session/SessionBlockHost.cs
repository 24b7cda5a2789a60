using Qkd.Devices;
using Qkd.Distillation;
using Qkd.Link.Recording;

namespace Qkd.Link.Session;

/// <summary>What both ends of a session answer to a block.</summary>
internal abstract class SessionBlockHost(LinkEnd end, IReconciler reconciler, ISecretRandomness randomness, LinkPace pace, IBlockRecorder recorder) : IBlockHost
{
    public ISecretRandomness Randomness { get; } = recorder.Randomness(randomness);

    /// <summary>Takes down what happens.</summary>
    protected IBlockRecorder Recorder => recorder;

    public IReconciliation BeginReconciliation(SiftedBlock sifted)
    {
        var conditions = pace.Conditions(sifted);
        var reconciliation = reconciler.Begin(sifted, end, conditions, Randomness);
        recorder.Reconciling(reconciliation.Method, reconciler is AdaptiveReconciler, conditions);
        return reconciliation;
    }

    public virtual void Sifted(SiftedBlock sifted) => pace.Sifted(sifted);

    public void Reconciled(IReconciliation reconciliation, SiftedBlock sifted, TimeSpan busy, TimeSpan? shortestAnswer)
    {
        if (shortestAnswer is { } shortest)
        {
            // The peer's work for the shortest answer is in it: an upper bound, and a close one where there are many rounds.
            pace.Answered(shortest);
        }

        (reconciler as AdaptiveReconciler)?.Learn(reconciliation.Method, sifted.TestErrorRate, sifted.KeyBitCount, busy);
    }

    public void Bounded(VerifiedBlock verified, long secretLength) => pace.Bounded(verified, secretLength);
}
