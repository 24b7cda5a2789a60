using System.Globalization;
using Qkd.Link.Preparation;

namespace Qkd.Node.Configuration;

/// <summary>Checks a configuration as a whole. Every problem is told with the path of its setting.</summary>
public static class BenchOptionsValidator
{
    /// <summary>All problems of a configuration; empty if it can be used.</summary>
    public static IReadOnlyList<string> Problems(BenchOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var problems = new List<string>();
        if (options.Alice is null && options.Bob is null)
        {
            problems.Add("Bench: neither Bench:Alice nor Bench:Bob is configured; there is no node to run.");
        }

        Check(options.DataFolder.Trim().Length > 0, "Bench:DataFolder", options.DataFolder, "a folder", problems);
        Check(
            options.Web.StatusPage.Length == 0 || (Uri.TryCreate(options.Web.StatusPage, UriKind.Absolute, out var page) && page.Scheme is "http" or "https"),
            "Bench:Web:StatusPage",
            options.Web.StatusPage,
            "http://host:port, or empty for none",
            problems);
        Protocol(options.Protocol, problems);
        if (options.Alice is { } alice)
        {
            Node("Bench:Alice", alice, problems);
            Roles("Bench:Alice", alice, problems, ("Source", alice.Roles.Source), ("Modulator", alice.Roles.Modulator), ("Attenuator", alice.Roles.Attenuator));
            Check(alice.PreparationFrames is >= 16 and <= 4096, "Bench:Alice:PreparationFrames", alice.PreparationFrames, "16 to 4096", problems);
            Check(alice.SymbolMode == "Stream", "Bench:Alice:SymbolMode", alice.SymbolMode, "Stream", problems);
            Attestations("Bench:Alice:Attestations", alice.Attestations, problems);
            Check(alice.Attestations.IntensityUncertainty is >= 0 and < 0.5, "Bench:Alice:Attestations:IntensityUncertainty", alice.Attestations.IntensityUncertainty, "0 to 0.5", problems);
        }

        if (options.Bob is { } bob)
        {
            Node("Bench:Bob", bob, problems);
            Roles("Bench:Bob", bob, problems, ("Tagger", bob.Roles.Tagger), ("Detectors", bob.Roles.Detectors), ("Polarization", bob.Roles.Polarization));
            Receiver(bob.Receiver, problems);
            Attestations("Bench:Bob:Receiver:Attestations", bob.Receiver.Attestations, problems);
            Check(bob.Polarization.RealignAbove is > 0 and <= 0.5, "Bench:Bob:Polarization:RealignAbove", bob.Polarization.RealignAbove, "0 to 0.5", problems);
            Check(
                bob.Polarization.AlignedBelow is >= 0 and <= 0.5, "Bench:Bob:Polarization:AlignedBelow", bob.Polarization.AlignedBelow, "0 to 0.5", problems);
            if (bob.Polarization is { AlignedBelow: > 0 and <= 0.5, Tracking: true })
            {
                problems.Add("Bench:Bob:Polarization:AlignedBelow: who has not learnt the paddles cannot follow with them; it needs Bench:Bob:Polarization:Tracking=false");
            }

            Check(bob.Polarization.MaximumMeasurements is >= 6 and <= 1000, "Bench:Bob:Polarization:MaximumMeasurements", bob.Polarization.MaximumMeasurements, "6 to 1000", problems);
        }

        return problems;
    }

    /// <summary>Throws if there is any problem.</summary>
    /// <exception cref="ConfigurationException">The first problem; further ones are in the message.</exception>
    public static void Validate(BenchOptions options)
    {
        var problems = Problems(options);
        if (problems.Count > 0)
        {
            var first = problems[0].Split(": ", 2);
            throw new ConfigurationException(first[0], string.Join(" | ", problems.Skip(1).Prepend(first[1])));
        }
    }

    private static void Protocol(ProtocolOptions protocol, List<string> problems)
    {
        const string section = "Bench:Protocol";
        Check(protocol.RepetitionRateMHz is >= 0.1 and <= 10_000, $"{section}:RepetitionRateMHz", protocol.RepetitionRateMHz, "0.1 to 10000", problems);
        Check(protocol.MarkerDivisor is >= 1 and <= 1 << 20, $"{section}:MarkerDivisor", protocol.MarkerDivisor, "1 to 1048576", problems);
        Check(
            protocol.FrameSlots is >= 6400 and <= 16_000_000 && protocol.FrameSlots % 64 == 0 && protocol.MarkerDivisor > 0 && protocol.FrameSlots % protocol.MarkerDivisor == 0,
            $"{section}:FrameSlots",
            protocol.FrameSlots,
            "6400 to 16000000, a multiple of 64 and of the marker divisor",
            problems);
        Check(
            protocol.PilotSlots >= 64 && protocol.PilotSlots % 64 == 0 && protocol.PilotSlots <= protocol.FrameSlots / 2,
            $"{section}:PilotSlots",
            protocol.PilotSlots,
            "64 to half a frame, a multiple of 64",
            problems);
        var mu = protocol.Intensities;
        Check(
            mu.Count == 3 && mu[2] >= 0 && mu[1] > mu[2] && mu[0] > mu[1] + mu[2] && mu[0] <= 2,
            $"{section}:Intensities",
            string.Join(", ", mu),
            "three mean photon numbers with signal > decoy + vacuum and decoy > vacuum >= 0",
            problems);
        Check(protocol.KeyBasisProbability is > 0 and < 1, $"{section}:KeyBasisProbability", protocol.KeyBasisProbability, "between 0 and 1", problems);
        Check(protocol.BlockKeyBits is >= 1000 and <= 100_000_000, $"{section}:BlockKeyBits", protocol.BlockKeyBits, "1000 to 100000000", problems);
        Check(protocol.InitialBlockFrames is >= 1 and <= 60_000, $"{section}:InitialBlockFrames", protocol.InitialBlockFrames, "1 to 60000", problems);
        Check(protocol.QberLimit is > 0 and <= 0.5, $"{section}:QberLimit", protocol.QberLimit, "above 0 and up to 0.5", problems);

        // As SecurityParameters has them: what passes here must not fail block by block.
        Check(protocol.Epsilon is >= 1e-30 and <= 1e-3, $"{section}:Epsilon", protocol.Epsilon, "1e-30 to 1e-3", problems);
        Check(protocol.EfficiencyMismatch is >= 0 and < 1, $"{section}:EfficiencyMismatch", protocol.EfficiencyMismatch, "0 to below 1", problems);
        Check(protocol.DarkCountMismatch is >= 0 and < 1, $"{section}:DarkCountMismatch", protocol.DarkCountMismatch, "0 to below 1", problems);
        Check(protocol.DarkCountProbability is >= 0 and < 0.5, $"{section}:DarkCountProbability", protocol.DarkCountProbability, "0 to below 0.5", problems);
        try
        {
            if (protocol.IntensityProbabilities.Count != mu.Count)
            {
                throw new ArgumentException("as many probabilities as intensities are needed");
            }

            // The key basis has been checked: what is wrong here is wrong with the intensities.
            _ = SymbolProbabilities.FromProbabilities(0.5, protocol.IntensityProbabilities);
        }
        catch (ArgumentException e)
        {
            problems.Add($"{section}:IntensityProbabilities: {e.Message}");
        }
    }

    private static void Node(string section, NodeOptions node, List<string> problems)
    {
        if (node.Name.Length == 0)
        {
            problems.Add($"{section}:Name: a name is needed");
        }

        foreach (var (name, device) in node.Devices)
        {
            if (device.Driver.Length == 0)
            {
                problems.Add($"{section}:Devices:{name}:Driver: a driver id is needed, see 'qkd devices list'");
            }

            if (device.Address.Length == 0)
            {
                problems.Add($"{section}:Devices:{name}:Address: an address is needed");
            }
        }

        Endpoint($"{section}:Link:Endpoint", node.Link.Endpoint, problems);
        if (node.Keys.Endpoint.Length > 0)
        {
            Endpoint($"{section}:Keys:Endpoint", node.Keys.Endpoint, problems);
        }

        Check(node.Keys.KmeId.Length is > 0 and <= 256, $"{section}:Keys:KmeId", node.Keys.KmeId, "1 to 256 characters", problems);
        Check(node.Keys.PeerKmeId.Length is > 0 and <= 256, $"{section}:Keys:PeerKmeId", node.Keys.PeerKmeId, "1 to 256 characters", problems);
        Check(
            node.Recording.MaximumMegabytes is >= 1 and <= 100_000_000, $"{section}:Recording:MaximumMegabytes", node.Recording.MaximumMegabytes, "1 to 100000000", problems);
        Check(node.Recording.Directory.Trim().Length > 0, $"{section}:Recording:Directory", node.Recording.Directory, "a folder", problems);
        Check(node.Keys.CapacityBits >= 8192, $"{section}:Keys:CapacityBits", node.Keys.CapacityBits, "at least 8192", problems);
        Check(node.Link.ClockToleranceMs is >= 0 and <= 60_000, $"{section}:Link:ClockToleranceMs", node.Link.ClockToleranceMs, "0 to 60000", problems);
        Check(node.Link.BlockTimeoutSeconds is >= 1 and <= 3600, $"{section}:Link:BlockTimeoutSeconds", node.Link.BlockTimeoutSeconds, "1 to 3600", problems);
        Check(node.Keys.KeySizeBits is >= 8 and <= 65536 && node.Keys.KeySizeBits % 8 == 0, $"{section}:Keys:KeySizeBits", node.Keys.KeySizeBits, "8 to 65536, a multiple of 8", problems);
    }

    private static void Roles(string section, NodeOptions node, List<string> problems, params (string Role, string Device)[] roles)
    {
        foreach (var (role, device) in roles.Where(r => !node.Devices.ContainsKey(r.Device)))
        {
            problems.Add($"{section}:Roles:{role}: there is no device '{device}' in {section}:Devices; there are {string.Join(", ", node.Devices.Keys.Order())}");
        }
    }

    /// <summary>A statement that is made must be made in full: one without evidence would quietly make Laboratory key.</summary>
    private static void Attestations(string section, AttestationOptions attestations, List<string> problems)
    {
        (string Name, Attestation? Attestation)[] all =
        [
            (nameof(attestations.PhaseRandomisation), attestations.PhaseRandomisation),
            (nameof(attestations.IntensityCalibration), attestations.IntensityCalibration),
            (nameof(attestations.RandomSource), attestations.RandomSource),
            (nameof(attestations.ReceiverModel), attestations.ReceiverModel),
        ];
        foreach (var (name, attestation) in all)
        {
            if (attestation is not null)
            {
                Check(attestation.Evidence.Trim().Length > 0, $"{section}:{name}:Evidence", attestation.Evidence, "evidence in words", problems);
                Check(
                    DateOnly.TryParseExact(attestation.Date, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out _),
                    $"{section}:{name}:Date",
                    attestation.Date,
                    "a date as YYYY-MM-DD",
                    problems);
            }
        }
    }

    private static void Receiver(ReceiverOptions receiver, List<string> problems)
    {
        const string section = "Bench:Bob:Receiver";
        Check(receiver.Channels.Count == 4 && receiver.Channels.Distinct().Count() == 4, $"{section}:Channels", string.Join(", ", receiver.Channels), "four different tagger channels: H, V, D, A", problems);
        Check(receiver.DelaysPicoseconds.Count is 0 or 4, $"{section}:DelaysPicoseconds", receiver.DelaysPicoseconds.Count, "none or four values", problems);
        Check(receiver.BiasMicroamperes.Count is 0 or 4, $"{section}:BiasMicroamperes", receiver.BiasMicroamperes.Count, "none or four values", problems);
        Check(receiver.GateWidthPicoseconds is >= 10 and <= 1e6, $"{section}:GateWidthPicoseconds", receiver.GateWidthPicoseconds, "10 to 1000000", problems);
        Check(receiver.DeadTimeNanoseconds is >= 0 and <= 1e5, $"{section}:DeadTimeNanoseconds", receiver.DeadTimeNanoseconds, "0 to 100000", problems);
        Check(receiver.AcquisitionMs is >= 200 and <= 10_000, $"{section}:AcquisitionMs", receiver.AcquisitionMs, "200 to 10000", problems);
        Check(receiver.GateWidthsPicoseconds.Count is 0 or 4, $"{section}:GateWidthsPicoseconds", receiver.GateWidthsPicoseconds.Count, "none or four values", problems);
        All(receiver.GateWidthsPicoseconds, 10, 1e6, $"{section}:GateWidthsPicoseconds", problems);
        Check(Enum.IsDefined(receiver.Synchronisation), $"{section}:Synchronisation", receiver.Synchronisation, "Marker or Signal", problems);
        Check(receiver.Synchronisation == SlotSynchronisation.Signal || !receiver.Channels.Contains(receiver.MarkerChannel), $"{section}:MarkerChannel", receiver.MarkerChannel, "a channel that is not a detector's", problems);
        All(receiver.DelaysPicoseconds, -1e9, 1e9, $"{section}:DelaysPicoseconds", problems);
        All(receiver.BiasMicroamperes, 0, 1000, $"{section}:BiasMicroamperes", problems);
        Check(receiver.ThresholdVolts is >= -10 and <= 10, $"{section}:ThresholdVolts", receiver.ThresholdVolts, "-10 to 10", problems);
        Check(receiver.MarkerThresholdVolts is >= -10 and <= 10, $"{section}:MarkerThresholdVolts", receiver.MarkerThresholdVolts, "-10 to 10", problems);
        Check(receiver.CountRateLimitHertz is >= 1 and <= 1e9, $"{section}:CountRateLimitHertz", receiver.CountRateLimitHertz, "1 to 1000000000", problems);
        Check(receiver.SplitterZ is > 0 and < 1, $"{section}:SplitterZ", receiver.SplitterZ, "between 0 and 1", problems);
    }

    private static void All(IReadOnlyList<double> values, double minimum, double maximum, string path, List<string> problems)
    {
        for (var i = 0; i < values.Count; i++)
        {
            Check(values[i] >= minimum && values[i] <= maximum, $"{path}:{i}", values[i], FormattableString.Invariant($"{minimum} to {maximum}"), problems);
        }
    }

    private static void Endpoint(string path, string endpoint, List<string> problems) =>
        Check(HostAndPort.TryParse(endpoint, out _), path, endpoint, "host:port", problems);

    private static void Check(bool holds, string path, object value, string allowed, List<string> problems)
    {
        if (!holds)
        {
            problems.Add(FormattableString.Invariant($"{path}: '{value}' is out of range; allowed: {allowed}"));
        }
    }
}
