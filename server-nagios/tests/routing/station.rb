# What Mauve makes of a routing, in as few lines as show it: the words that its configuration knows, evaluated by a real
# Ruby, and alerts and times put to them. Each line of the input is an alert with a time, as JSON; each line of the output
# is the group that fits it first, its level, and who is told then, with how often.
#
#     ruby station.rb FOLDER <alerts >answers

require 'ipaddr'
require 'json'

class Integer
  def seconds = self
  def minutes = self * 60
  def hours = self * 3600
  def days = self * 86_400
end

# A list of hosts and addresses.
class SourceList
  def initialize(sources)
    @sources = sources.map do |source|
      # As the station has it: what looks like an address is one, or the load ends here.
      source.is_a?(String) && source =~ /^[0-9a-f\.:]+(\/\d+)?$/i ? IPAddr.new(source) : source
    end
  end

  def includes?(subject)
    address = begin
      IPAddr.new(subject)
    rescue ArgumentError
      nil
    end
    @sources.any? do |source|
      case source
      when IPAddr then !address.nil? && source.family == address.family && source.include?(address)
      when Regexp then subject =~ source
      else subject == source
      end
    end
  end
end

# The inside of `includes { … }`.
class Alert
  attr_reader :subject, :source, :alert_id, :unacknowledged_for

  def initialize(lists, data)
    @lists = lists
    @subject, @source, @alert_id = data.values_at('subject', 'source', 'id')
    @unacknowledged_for = data['unacknowledged_for']
  end

  def in_source_list?(label) = @lists.key?(label) && @lists[label].includes?(subject)
end

# The inside of `during { … }`.
class Hours
  def initialize(time, alert) = (@time, @alert = time, alert)

  def hours_in_day(*hours) = hours.include?(@time.hour)
  def days_in_week(*days) = days.include?(@time.wday)
  def unacknowledged(seconds) = @alert.unacknowledged_for >= seconds

  def working_hours?
    (1..5).include?(@time.wday) && ((9..16).include?(@time.hour) || (@time.hour == 8 && @time.min >= 30))
  end
end

# The inside of `notify('PERSON') { … }`. What it does not say, the person does: where that says nothing either, the station
# has every half an hour in working hours (`created_person`, `Person#resolve_notifications`).
class Notify
  attr_reader :person, :repeat, :hours

  def initialize(person) = (@person, @repeat, @hours = person, 30.minutes, proc { working_hours? })
  def every(seconds) = @repeat = seconds
  def during(&block) = @hours = block
end

# The inside of `alert_group('NAME') { … }`.
class Group
  URGENT, NORMAL, LOW = %w[urgent normal low]
  attr_reader :name, :fits, :how_pressing, :clauses

  def initialize(name) = (@name, @clauses = name, [])
  def includes(&block) = @fits = block
  def level(level) = @how_pressing = level

  def notify(person, &block)
    clause = Notify.new(person)
    clause.instance_eval(&block)
    @clauses << clause
  end
end

# The words of a configuration.
class Station
  URGENT, NORMAL, LOW = %w[urgent normal low]
  attr_reader :lists, :groups

  def initialize = (@lists, @groups = {}, [])

  def source_list(label, *sources)
    raise "another list #{label}" if lists.key?(label)

    lists[label] = SourceList.new(sources)
  end

  def alert_group(name, &block)
    raise "another group #{name}" if groups.any? { |group| group.name == name }

    group = Group.new(name)
    group.instance_eval(&block)
    groups << group
  end
end

station = Station.new
Dir.glob(File.join(ARGV.fetch(0), '*.conf')).sort.each { |file| station.instance_eval(File.read(file), file) }
$stdin.each_line do |line|
  data = JSON.parse(line)
  alert = Alert.new(station.lists, data)
  group = station.groups.find { |one| alert.instance_eval(&one.fits) }
  hours = Hours.new(Time.at(data['time']).utc, alert)
  told = group&.clauses&.select { |clause| hours.instance_eval(&clause.hours) } || []
  # The station keeps one time of the next reminder for an alert, the soonest (`AlertGroup#notify`).
  soonest = told.map(&:repeat).min
  puts JSON.generate(group: group&.name, level: group&.how_pressing, told: told.map { |one| [one.person, soonest] })
end
