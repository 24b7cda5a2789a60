using Qkd.Devices;

namespace Qkd.Timing;

/// <summary>The pilots of the frames in question: which of their slots carry a signal, and what was sent in them.</summary>
internal sealed class PilotTable(int pilotSlots, int vacuumIntensity)
{
    private const int Kept = 512;

    /// <summary>A search at high loss goes over the frames of half a minute again and again.</summary>
    private const int SignsKept = 4096;

    private readonly Dictionary<long, ulong[]> _packed = [];
    private readonly Dictionary<long, short[]> _signs = [];

    /// <summary>The pilot of a frame in the packed layout.</summary>
    public ReadOnlySpan<ulong> Of(long frame)
    {
        if (!_packed.TryGetValue(frame, out var words))
        {
            if (_packed.Count >= Kept)
            {
                _packed.Clear();
            }

            words = new ulong[PackedSymbols.WordCount(pilotSlots)];
            Pilot.Fill(frame, vacuumIntensity, words);
            _packed[frame] = words;
        }

        return words;
    }

    /// <summary>For each slot of a frame's pilot 1 if it carries a signal pulse, -1 if it is dark: a click there speaks for the frame's place, or against it.</summary>
    public ReadOnlySpan<short> Signs(long frame)
    {
        if (!_signs.TryGetValue(frame, out var signs))
        {
            if (_signs.Count >= SignsKept)
            {
                _signs.Clear();
            }

            var packed = Of(frame);
            signs = new short[pilotSlots];
            for (var slot = 0; slot < signs.Length; slot++)
            {
                signs[slot] = (short)(IsSignal(packed, slot) ? 1 : -1);
            }

            _signs[frame] = signs;
        }

        return signs;
    }

    /// <summary>Whether a pilot slot carries a signal pulse.</summary>
    public static bool IsSignal(ReadOnlySpan<ulong> packed, int slot)
    {
        var group = slot / PackedSymbols.SlotsPerGroup * PackedSymbols.WordsPerGroup;
        return ((packed[group + 2] | packed[group + 3]) >> (slot % PackedSymbols.SlotsPerGroup) & 1) == 0;
    }
}
