using System.Globalization;
using Qkd.Devices;
using Qkd.Devices.Drivers;
using Qkd.Transports;

namespace Qkd.Drivers.OzOptics.Dd100Mc;

/// <summary>
/// An OZ Optics DD-100-MC. Disposing leaves the attenuation as it is: no position of an attenuator is safer for everybody than the
/// one that was asked for last.
/// </summary>
/// <remarks>
/// Commands from the maker's manual: <c>H</c> homes, <c>A12.50</c> moves to an attenuation in dB, <c>D</c> shows position and
/// attenuation, <c>CD</c> the configuration. One exchange at a time; a movement occupies the line until it is done.
/// </remarks>
public sealed class Dd100McAttenuator : DeviceBase, IAttenuator
{
    /// <summary>Smallest step of the attenuation in dB: commands carry two decimals.</summary>
    public const double ResolutionDecibels = 0.01;

    private const string WhatItShouldBe = "OZ Optics DD-100-MC (DPos and ATTEN in answer to D)";

    private readonly Dd100McSettings _settings;
    private readonly Dd100McConnection _connection;
    private readonly DeviceParameter<double> _attenuation;
    private readonly DeviceParameter<long> _position;

    // From the command to move until its outcome has been read: another movement in between would be taken for this one's outcome.
    private readonly SemaphoreSlim _movement = new(1, 1);
    private int _unanswered;

    // Answers to a connection before this one may still be under way, and do not say so: a few of the instrument's own form are passed over.
    private int _strays = 4;
    private Dd100McReply? _stray;

    internal Dd100McAttenuator(DeviceOpenRequest request, Dd100McSettings settings, IByteTransport transport)
        : base(request)
    {
        _settings = settings;
        _connection = new(transport, request.Name, MarkBroken);
        _attenuation = AddParameter(
            "attenuation",
            "dB",
            GetAttenuationAsync,
            async (value, token) => await SetAttenuationAsync(value, token).ConfigureAwait(false),
            MinimumDecibels,
            MaximumDecibels);
        _position = AddParameter(
            "position", "steps", async token => (await DisplayAsync(token).ConfigureAwait(false)).PositionSteps!.Value);
        AddParameter(
            "configuration",
            "",
            async token => string.Join("; ", (await AskAsync("CD", _settings.Timeout, _ => true, token).ConfigureAwait(false)).Lines));
    }

    /// <inheritdoc/>
    public double MinimumDecibels => _settings.MinimumDecibels;

    /// <inheritdoc/>
    public double MaximumDecibels => _settings.MaximumDecibels;

    /// <inheritdoc/>
    /// <remarks>
    /// Sent with two decimals. An instrument that does not know its position is homed first. What it reports in the end must agree
    /// with what was asked within the option <c>ToleranceDecibels</c>.
    /// </remarks>
    /// <exception cref="DeviceException">It reports another attenuation than the one asked for, or no answer came.</exception>
    public async ValueTask<double> SetAttenuationAsync(double decibels, CancellationToken cancellationToken)
    {
        ThrowIfUnusable();
        RequireRange("attenuation", decibels, MinimumDecibels, MaximumDecibels, "dB");
        await _movement.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_attenuation.Last is null && (await DisplayAsync(cancellationToken).ConfigureAwait(false)).AttenuationDecibels is null)
            {
                await HomeAsync(cancellationToken).ConfigureAwait(false);
            }

            var command = string.Create(CultureInfo.InvariantCulture, $"A{decibels:F2}");
            await AskAsync(command, _settings.MoveTimeout, reply => reply.MovedToSteps is not null, cancellationToken).ConfigureAwait(false);
            var reached = await GetAttenuationAsync(cancellationToken).ConfigureAwait(false);
            return Math.Abs(reached - decibels) <= _settings.ToleranceDecibels
                ? reached
                : throw new DeviceException(
                    Name,
                    Address.Text,
                    string.Create(CultureInfo.InvariantCulture, $"asked for {decibels:F2} dB with {command}, it reports {reached} dB"));
        }
        finally
        {
            _movement.Release();
        }
    }

    /// <inheritdoc/>
    /// <exception cref="DeviceProtocolException">The instrument does not know it; home it first.</exception>
    public async ValueTask<double> GetAttenuationAsync(CancellationToken cancellationToken)
    {
        var display = await DisplayAsync(cancellationToken).ConfigureAwait(false);
        return display.AttenuationDecibels
            ?? throw new DeviceProtocolException(Name, Address.Text, "D", $"{display}, an attenuation that is no number; home the instrument");
    }

    /// <summary>Moves to the reference position and back to where the instrument then goes by itself. Up to half a minute.</summary>
    public async ValueTask HomeAsync(CancellationToken cancellationToken) =>
        await AskAsync("H", _settings.HomeTimeout, reply => !reply.IsDisplay, cancellationToken).ConfigureAwait(false);

    /// <summary>
    /// Reads what the instrument shows. It tells neither its model nor a serial number, so the form of this answer is all the
    /// identity there is.
    /// </summary>
    /// <exception cref="WrongDeviceException">Something answered in another form.</exception>
    /// <exception cref="DeviceTimeoutException">Nothing answered.</exception>
    internal async ValueTask IdentifyAsync(CancellationToken cancellationToken)
    {
        try
        {
            await DisplayAsync(cancellationToken).ConfigureAwait(false);
            Identity = new("OZ Optics", "DD-100-MC", "", "");
        }
        catch (DeviceTimeoutException)
        {
            await _connection.DisposeAsync().ConfigureAwait(false);
            if (_connection.Unanswering is { Length: > 0 } heard)
            {
                throw new WrongDeviceException(Name, Address.Text, WhatItShouldBe, $"'{heard}'");
            }

            if (_stray is not null)
            {
                throw new WrongDeviceException(Name, Address.Text, WhatItShouldBe, _stray.ToString());
            }

            throw;
        }
        catch (Exception other) when (other is DeviceProtocolException or DeviceRefusedException)
        {
            throw new WrongDeviceException(Name, Address.Text, WhatItShouldBe, other.Message);
        }
    }

    /// <inheritdoc/>
    protected override ValueTask ReleaseAsync() => _connection.DisposeAsync();

    private async ValueTask<Dd100McReply> DisplayAsync(CancellationToken cancellationToken)
    {
        var display = await AskAsync("D", _settings.Timeout, reply => reply.IsDisplay, cancellationToken).ConfigureAwait(false);
        _position.Note(display.PositionSteps!.Value);
        if (display.AttenuationDecibels is { } decibels)
        {
            _attenuation.Note(decibels);
        }

        return display;
    }

    /// <summary>
    /// Sends a command and waits for its answer. Answers come in order but do not say what they answer; after a time-out or a
    /// cancelled wait an old one may still be under way, so one that does not fit is then passed over instead of being an error.
    /// </summary>
    private ValueTask<Dd100McReply> AskAsync(
        string command, TimeSpan limit, Func<Dd100McReply, bool> fits, CancellationToken cancellationToken)
    {
        ThrowIfUnusable();
        return ExchangeAsync(
            command,
            limit,
            async token =>
            {
                await _connection.SendAsync(command, token).ConfigureAwait(false);
                _unanswered++;
                while (true)
                {
                    var reply = await _connection.ReadReplyAsync(token).ConfigureAwait(false);
                    _unanswered--;
                    if (fits(reply) && reply.Complaint is null)
                    {
                        return reply;
                    }

                    if (_unanswered <= 0 && reply.Complaint is null && (reply.IsDisplay || reply.MovedToSteps is not null) && _strays-- > 0)
                    {
                        (_unanswered, _stray) = (1, reply);
                    }
                    else if (_unanswered <= 0)
                    {
                        _unanswered = 0;
                        throw reply.Complaint is { } complaint
                            ? new DeviceRefusedException(Name, Address.Text, command, complaint)
                            : new DeviceProtocolException(Name, Address.Text, command, reply.ToString());
                    }
                }
            },
            cancellationToken);
    }
}
