using System.Buffers;
using System.Collections.Concurrent;
using Qkd.Devices;

namespace Qkd.Distillation;

/// <summary>
/// Chooses the method for each block by predicted secret bits a second, from error rate, round-trip time and load, and learns from each block how fast
/// this machine is. Alice chooses and says so in the first byte of her first message; Bob follows.
/// </summary>
/// <param name="cascade">Cascade.</param>
/// <param name="ldpc">One-way LDPC codes.</param>
/// <param name="method">One method for all blocks, or <see cref="ReconciliationMethod.Auto"/>.</param>
public sealed class AdaptiveReconciler(IReconciler cascade, IReconciler ldpc, ReconciliationMethod method = ReconciliationMethod.Auto) : IReconciler
{
    private static readonly ReconciliationMethod[] Methods = [ReconciliationMethod.Cascade, ReconciliationMethod.Ldpc];

    /// <summary>Share of the newest block in what is known of a method's speed.</summary>
    private const double Learning = 0.25;

    private readonly ConcurrentDictionary<ReconciliationMethod, double> _relativeSpeed = new();

    /// <summary>Both methods of this project.</summary>
    /// <param name="method">One method for all blocks, or <see cref="ReconciliationMethod.Auto"/>.</param>
    /// <param name="randomness">Where Alice draws the bits that stand for punctured ones.</param>
    public static AdaptiveReconciler Create(ReconciliationMethod method, ISecretRandomness randomness) =>
        new(new CascadeReconciler(), new LdpcReconciler(randomness), method);

    /// <inheritdoc/>
    public string Name => method == ReconciliationMethod.Auto ? "auto" : Of(method).Name;

    /// <inheritdoc/>
    public IReconciliation Begin(SiftedBlock block, LinkEnd end, ReconciliationConditions conditions, ISecretRandomness? randomness = null)
    {
        ArgumentNullException.ThrowIfNull(block);
        ArgumentNullException.ThrowIfNull(conditions);
        if (end == LinkEnd.Bob)
        {
            return new Following(this, block, conditions);
        }

        var chosen = method == ReconciliationMethod.Auto ? Choose(block, conditions) : method;
        return new Leading(chosen, Of(chosen).Begin(block, end, conditions, randomness));
    }

    /// <summary>What is to be expected of a method for a block, after what was learned about this machine.</summary>
    public ReconciliationForecast Forecast(ReconciliationMethod candidate, SiftedBlock block, double errorRate)
    {
        ArgumentNullException.ThrowIfNull(block);
        var usual = ReconciliationForecast.Of(candidate, errorRate);

        // What Bob asks counts as much again where the detectors may differ; what one-way codes ask is a few bits.
        var twice = candidate == ReconciliationMethod.Cascade && block.Parameters.Security.Mismatch.Exists;
        return usual with
        {
            Efficiency = twice ? 2 * usual.Efficiency : usual.Efficiency,
            BitsPerSecond = usual.BitsPerSecond * _relativeSpeed.GetValueOrDefault(candidate, 1),
        };
    }

    /// <summary>Tells how long this end worked on a block, waiting left out.</summary>
    /// <param name="name">The method, as <see cref="IReconciliation.Method"/> has it.</param>
    /// <param name="errorRate">Error rate of the block.</param>
    /// <param name="bits">Bits of the block.</param>
    /// <param name="busy">Time spent in <see cref="IReconciliation.Step"/>.</param>
    public void Learn(string name, double errorRate, long bits, TimeSpan busy)
    {
        foreach (var candidate in Methods)
        {
            // A small block is all overhead, and tells nothing about a large one.
            if (Of(candidate).Name == name && bits >= 100_000 && busy > TimeSpan.Zero)
            {
                var relative = bits / busy.TotalSeconds / ReconciliationForecast.Of(candidate, errorRate).BitsPerSecond;
                _relativeSpeed.AddOrUpdate(candidate, relative, (_, known) => known + (Learning * (relative - known)));
            }
        }
    }

    private ReconciliationMethod Choose(SiftedBlock block, ReconciliationConditions conditions) => Methods.MaxBy(
        candidate => Forecast(candidate, block, conditions.ErrorRate).SecretBitsPerSecond(block.KeyBitCount, conditions));

    private IReconciler Of(ReconciliationMethod which) => which == ReconciliationMethod.Ldpc ? ldpc : cascade;

    /// <summary>Alice's end: the method's own messages, the first one after a byte that names it.</summary>
    private sealed class Leading(ReconciliationMethod chosen, IReconciliation inner) : IReconciliation
    {
        private bool _named;

        public string Method => inner.Method;

        public bool StartsFirst => true;

        public int Rounds => inner.Rounds;

        public int RetriedFrames => inner.RetriedFrames;

        public int DisclosedFrames => inner.DisclosedFrames;

        public CorrectedBlock Result => inner.Result;

        public bool Step(ReadOnlySpan<byte> received, IBufferWriter<byte> toSend)
        {
            if (!_named)
            {
                _named = true;
                toSend.WriteByte((byte)chosen);
            }

            return inner.Step(received, toSend);
        }

        public void Dispose() => inner.Dispose();
    }

    /// <summary>Bob's end: waits for the first message to learn the method.</summary>
    private sealed class Following(AdaptiveReconciler owner, SiftedBlock block, ReconciliationConditions conditions) : IReconciliation
    {
        private IReconciliation? _inner;

        public string Method => _inner?.Method ?? "";

        public bool StartsFirst => false;

        public int Rounds => _inner?.Rounds ?? 0;

        public int RetriedFrames => _inner?.RetriedFrames ?? 0;

        public int DisclosedFrames => _inner?.DisclosedFrames ?? 0;

        public CorrectedBlock Result => _inner?.Result ?? throw new InvalidOperationException("The reconciliation has not begun.");

        public bool Step(ReadOnlySpan<byte> received, IBufferWriter<byte> toSend)
        {
            if (_inner is not null)
            {
                return _inner.Step(received, toSend);
            }

            var reader = new MessageReader(received, "first message of error correction");
            var chosen = (ReconciliationMethod)reader.ReadByte();
            if (!Methods.Contains(chosen))
            {
                throw reader.Malformed($"there is no method {(int)chosen}");
            }

            _inner = owner.Of(chosen).Begin(block, LinkEnd.Bob, conditions);
            return _inner.Step(reader.Take(reader.Left), toSend);
        }

        public void Dispose()
        {
            _inner?.Dispose();
            block.Dispose();
        }
    }
}
